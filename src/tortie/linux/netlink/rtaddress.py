"""Addresses of interfaces as rtnetlink messages (linux/if_addr.h)."""

import struct

from msgspec import Struct

from tortie.linux.netlink.rtfamily import AF_UNSPEC, BYTES, FAMILY, VERSION, fields
from tortie.linux.netlink.wire import MalformedMessage, attribute, attribute_map, read_u32, u32
from tortie.net import Prefix

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
IFA_F_NODAD, IFA_F_DEPRECATED, IFA_F_PERMANENT, IFA_F_NOPREFIXROUTE = 0x02, 0x20, 0x80, 0x200
SCOPE_GLOBAL, SCOPE_HOST = 0, 254

_HEADER = struct.Struct("=BBBBI")
_ADDRESS, _LOCAL, _CACHEINFO, _FLAGS = 1, 2, 6, 8
# Not preferred, valid for ever: the kernel takes that from lifetimes and not from the flag.
_DEPRECATED = struct.pack("=IIII", 0, 0xFFFFFFFF, 0, 0)


class Address(Struct, frozen=True):
    """An address on the interface `index`; the prefix keeps its host bits ("10.0.0.5/24")."""

    index: int
    prefix: Prefix
    scope: int = 0
    flags: int = 0


def build_address(address: Address) -> bytes:
    """The payload of RTM_NEWADDR or RTM_DELADDR."""
    version, number, length = address.prefix
    value = number.to_bytes(BYTES[version])
    header = _HEADER.pack(
        FAMILY[version], length, address.flags & 0xFF, address.scope, address.index
    )
    flags = attribute(_FLAGS, u32(address.flags)) if address.flags else b""
    if address.flags & IFA_F_DEPRECATED:
        flags += attribute(_CACHEINFO, _DEPRECATED)
    return header + attribute(_LOCAL, value) + attribute(_ADDRESS, value) + flags


def build_address_query(version: int | None = None, index: int = 0) -> bytes:
    """The payload of a dump of addresses, of one family and interface where given."""
    family = AF_UNSPEC if version is None else FAMILY[version]
    return _HEADER.pack(family, 0, 0, 0, index)


def parse_address(payload: bytes) -> Address:
    """Read the payload of RTM_NEWADDR or RTM_DELADDR. Raises MalformedMessage."""
    family, length, flags, scope, index = fields(_HEADER, payload, "an address")
    version = VERSION.get(family)
    found = attribute_map(payload, _HEADER.size)
    # On a point-to-point link _ADDRESS is the peer's; _LOCAL is ours wherever it is given.
    value = found.get(_LOCAL) or found.get(_ADDRESS) or b""
    if version is None or len(value) != BYTES[version] or length > 8 * len(value):
        raise MalformedMessage(f"an address of family {family}, {len(value)} bytes, /{length}")
    if _FLAGS in found:
        flags = read_u32(found[_FLAGS])
    return Address(index, Prefix(version, int.from_bytes(value), length), scope, flags)
