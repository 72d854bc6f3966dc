"""Generic netlink: families by name, and their messages (linux/genetlink.h)."""

import struct

from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import (
    MalformedMessage,
    Message,
    attribute,
    attribute_map,
    read_u16,
    string,
)

NETLINK_GENERIC = 16
_CONTROL = 16  # GENL_ID_CTRL
_GET_FAMILY, _ID, _NAME = 3, 1, 2
_HEADER = struct.Struct("=BBH")


def build(command: int, version: int, *attributes: bytes) -> bytes:
    """The payload of a message of a family."""
    return _HEADER.pack(command, version, 0) + b"".join(attributes)


def attributes_of(message: Message) -> dict[int, bytes]:
    """What a family's message says. Raises MalformedMessage."""
    if len(message.payload) < _HEADER.size:
        raise MalformedMessage(f"{len(message.payload)} bytes, too few for a generic message")
    return attribute_map(message.payload, _HEADER.size)


def find_family(sock: NetlinkSocket, name: str) -> int | None:
    """The number that the kernel gave a family of this name; None where there is none."""
    request = Request(
        _CONTROL, build(_GET_FAMILY, 1, attribute(_NAME, string(name))), 0, f"family {name}"
    )
    try:
        answers = sock.request(request)
    except NetlinkError:
        return None
    return read_u16(attributes_of(answers[0])[_ID]) if answers else None
