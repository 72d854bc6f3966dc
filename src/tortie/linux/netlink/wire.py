"""Netlink messages and attributes as bytes (linux/netlink.h; RFC 3549).

A message is a 16-byte header and a payload; a payload is usually a fixed structure followed by
attributes; an attribute is a 4-byte header and a value, padded to four bytes. Integers are in the
machine's order unless a name here says `be`.
"""

import struct
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 1, 2, 3, 4

# Flags of requests.
NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK = 0x1, 0x2, 0x4
NLM_F_DUMP = 0x300  # NLM_F_ROOT | NLM_F_MATCH
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
# Flags of answers.
NLM_F_DUMP_INTR = 0x10  # what is dumped changed meanwhile
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200

NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
_NLMSGERR_ATTR_MSG = 1

HEADER = struct.Struct("=IHHII")
HEADER_LENGTH = HEADER.size
_ATTRIBUTE = struct.Struct("=HH")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class MalformedMessage(ValueError):
    """Bytes that are not the netlink message they should be."""


class Message(NamedTuple):
    """One message of an answer or a notification."""

    type: int
    flags: int
    sequence: int
    port: int
    payload: bytes


class Attribute(NamedTuple):
    """One attribute: its type without flag bits, its value without padding."""

    type: int
    value: bytes


class Acknowledgement(NamedTuple):
    """What the kernel says of a request: errno (0 = done) and its own words, often empty."""

    errno: int
    message: str


def build_message(
    message_type: int, flags: int, payload: bytes, sequence: int = 0, port: int = 0
) -> bytes:
    """One message, padded so that another can follow."""
    length = HEADER_LENGTH + len(payload)
    header = HEADER.pack(length, message_type, flags, sequence, port)
    return header + payload + _PADDING[length & 3]


def parse_messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram. Raises MalformedMessage where a length cannot be right."""
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < HEADER_LENGTH:
            raise MalformedMessage(f"{end - offset} bytes left, too few for a netlink header")
        length, message_type, flags, sequence, port = HEADER.unpack_from(data, offset)
        if not HEADER_LENGTH <= length <= end - offset:
            raise MalformedMessage(f"a message of {length} bytes where {end - offset} are left")
        payload = data[offset + HEADER_LENGTH : offset + length]
        yield Message(message_type, flags, sequence, port, payload)
        offset += (length + 3) & ~3


def attribute(attribute_type: int, value: bytes) -> bytes:
    """One attribute, padded."""
    length = 4 + len(value)
    if length > 0xFFFF:
        raise MalformedMessage(f"attribute {attribute_type} has {len(value)} bytes, above 65531")
    return _ATTRIBUTE.pack(length, attribute_type) + value + _PADDING[length & 3]


def nested(attribute_type: int, *children: bytes) -> bytes:
    """An attribute that holds attributes (built ones)."""
    return attribute(attribute_type | NLA_F_NESTED, b"".join(children))


def build_attributes(attributes: Sequence[Attribute]) -> bytes:
    """Attributes one after the other."""
    return b"".join([attribute(kind, value) for kind, value in attributes])


def parse_attributes(data: bytes, offset: int = 0) -> list[Attribute]:
    """The attributes from `offset` on. Raises MalformedMessage where a length cannot be right.

    Fewer than four bytes at the end are padding.
    """
    return [Attribute(kind, value) for kind, value in _walk(data, offset)]


def attribute_map(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from `offset` on by type; the last one of a type wins, as in the kernel."""
    return dict(_walk(data, offset))


def _walk(data: bytes, offset: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    end = len(data)
    unpack = _ATTRIBUTE.unpack_from
    while end - offset >= 4:
        length, kind = unpack(data, offset)
        if not 4 <= length <= end - offset:
            raise MalformedMessage(f"an attribute of {length} bytes where {end - offset} are left")
        found.append((kind & NLA_TYPE_MASK, data[offset + 4 : offset + length]))
        offset += (length + 3) & ~3
    return found


def parse_acknowledgement(message: Message) -> Acknowledgement:
    """Read an NLMSG_ERROR, or an NLMSG_DONE, which has the same shape without the request."""
    payload = message.payload
    if message.type == NLMSG_DONE and len(payload) < 4:
        return Acknowledgement(0, "")
    if len(payload) < 4:
        raise MalformedMessage(f"an acknowledgement needs 4 bytes, found {len(payload)}")
    errno = -int.from_bytes(payload[:4], sys.byteorder, signed=True)
    if not message.flags & NLM_F_ACK_TLVS:
        return Acknowledgement(errno, "")
    text = attribute_map(payload, _after_request(message)).get(_NLMSGERR_ATTR_MSG, b"")
    return Acknowledgement(errno, read_string(text))


def _after_request(message: Message) -> int:
    """Where the acknowledgement's attributes begin: after the errno and the request it quotes."""
    if message.type == NLMSG_DONE:
        return 4
    if message.flags & NLM_F_CAPPED:
        return 4 + HEADER_LENGTH
    quoted = read_u32(message.payload[4:])
    return 4 + ((max(HEADER_LENGTH, quoted) + 3) & ~3)


def u8(value: int) -> bytes:
    """One byte."""
    return value.to_bytes(1)


def u16(value: int) -> bytes:
    """Two bytes in the machine's order."""
    return struct.pack("=H", value)


def u32(value: int) -> bytes:
    """Four bytes in the machine's order."""
    return struct.pack("=I", value)


def be16(value: int) -> bytes:
    """Two bytes in network order."""
    return value.to_bytes(2)


def be32(value: int) -> bytes:
    """Four bytes in network order."""
    return value.to_bytes(4)


def be64(value: int) -> bytes:
    """Eight bytes in network order."""
    return value.to_bytes(8)


def string(text: str) -> bytes:
    """Text with the closing zero byte that the kernel wants."""
    return text.encode() + b"\0"


def read_u8(value: bytes) -> int:
    """Read one byte; raises MalformedMessage when it is not there."""
    return _leading(value, 1)


def read_u16(value: bytes) -> int:
    """Read two bytes in the machine's order; raises MalformedMessage when they are too few."""
    return _leading(value, 2)


def read_u32(value: bytes) -> int:
    """Read four bytes in the machine's order; raises MalformedMessage when they are too few."""
    return _leading(value, 4)


def read_be(value: bytes) -> int:
    """Read any number of bytes in network order."""
    return int.from_bytes(value)


def read_string(value: bytes) -> str:
    """Read text up to the first zero byte; bytes that are no UTF-8 are shown escaped."""
    return value.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _leading(value: bytes, size: int) -> int:
    if len(value) < size:
        raise MalformedMessage(f"a number needs {size} bytes, found {len(value)}")
    return int.from_bytes(value[:size], sys.byteorder)
