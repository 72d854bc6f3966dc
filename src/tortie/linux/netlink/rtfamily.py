"""What the four rtnetlink codecs share: families, addresses and MACs as bytes."""

import socket
import struct

from tortie.linux.netlink.wire import MalformedMessage
from tortie.net import Prefix

AF_UNSPEC, AF_BRIDGE = 0, 7
FAMILY: dict[int, int] = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
VERSION: dict[int, int] = {family: version for version, family in FAMILY.items()}
BYTES: dict[int, int] = {4: 4, 6: 16}
_VERSION_BY_BYTES = {4: 4, 16: 6}


def read_address(value: bytes) -> Prefix:
    """An address of 4 or 16 bytes as a /32 or /128. Raises MalformedMessage for other lengths."""
    version = _VERSION_BY_BYTES.get(len(value))
    if version is None:
        raise MalformedMessage(f"an address has 4 or 16 bytes, found {len(value)}")
    return Prefix(version, int.from_bytes(value), len(value) * 8)


def address_bytes(prefix: Prefix) -> bytes:
    """The address of a prefix, in network order."""
    return prefix.address.to_bytes(BYTES[prefix.version])


def mac_bytes(text: str) -> bytes:
    """ "ee:ee:ee:ee:ee:ee" as six bytes. Raises ValueError for anything else."""
    parts = text.split(":")
    if len(parts) != 6 or not all(len(part) == 2 for part in parts):
        raise ValueError(f"{text!r} is not a MAC address such as 66:00:00:00:00:01")
    try:
        return bytes.fromhex("".join(parts))
    except ValueError:
        raise ValueError(f"{text!r} is not a MAC address such as 66:00:00:00:00:01") from None


def mac_text(value: bytes) -> str:
    """Bytes as "ee:ee:ee:ee:ee:ee"; hardware addresses of other lengths likewise."""
    return value.hex(":")


def fields(form: struct.Struct, payload: bytes, what: str) -> tuple[int, ...]:
    """The fixed part of a payload. Raises MalformedMessage when it is too short."""
    if len(payload) < form.size:
        raise MalformedMessage(f"{what} needs {form.size} bytes, found {len(payload)}")
    return form.unpack_from(payload)
