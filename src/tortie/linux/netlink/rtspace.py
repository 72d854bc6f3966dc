"""The numbers by which one network namespace calls others (linux/net_namespace.h)."""

import struct

from tortie.linux.netlink.wire import attribute, attribute_map, u32

RTM_GETNSID = 90

_HEADER = struct.Struct("=Bxxx")
_NUMBER, _FD = 1, 3
_VALUE = struct.Struct("=i")
NOT_KNOWN = -1


def build_space_query(descriptor: int) -> bytes:
    """The payload of RTM_GETNSID for an open namespace."""
    return _HEADER.pack(0) + attribute(_FD, u32(descriptor))


def parse_space(payload: bytes) -> int:
    """Its number; NOT_KNOWN where the namespace that is asked has none for it."""
    value = attribute_map(payload, _HEADER.size).get(_NUMBER, b"")
    return int(_VALUE.unpack(value)[0]) if len(value) == _VALUE.size else NOT_KNOWN
