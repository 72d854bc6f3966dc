"""Neighbours (ARP, NDP) and forwarding entries (FDB) as rtnetlink messages (linux/neighbour.h)."""

import struct

from msgspec import Struct

from tortie.linux.netlink.rtfamily import (
    AF_BRIDGE,
    AF_UNSPEC,
    FAMILY,
    VERSION,
    address_bytes,
    fields,
    mac_bytes,
    mac_text,
    read_address,
)
from tortie.linux.netlink.wire import MalformedMessage, attribute, attribute_map, u32
from tortie.net import Prefix

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_SELF = 0x02

_HEADER = struct.Struct("=BxxxiHBB")
_DST, _MAC, _IFINDEX = 1, 2, 8


class Neighbour(Struct, frozen=True):
    """On the link `index`, this address (a /32 or /128) has this MAC."""

    index: int
    address: Prefix
    mac: str
    state: int = NUD_PERMANENT
    flags: int = 0


class Forwarding(Struct, frozen=True):
    """On the device `index`, frames to this MAC go to `remote`; None for the device itself."""

    index: int
    mac: str
    remote: Prefix | None = None
    state: int = NUD_PERMANENT
    flags: int = NTF_SELF


def build_neighbour(neighbour: Neighbour) -> bytes:
    """The payload of RTM_NEWNEIGH or RTM_DELNEIGH."""
    family = FAMILY[neighbour.address.version]
    header = _HEADER.pack(family, neighbour.index, neighbour.state, neighbour.flags, 0)
    address = attribute(_DST, address_bytes(neighbour.address))
    return header + address + (attribute(_MAC, mac_bytes(neighbour.mac)) if neighbour.mac else b"")


def build_forwarding(entry: Forwarding) -> bytes:
    """The payload of RTM_NEWNEIGH or RTM_DELNEIGH for a forwarding entry."""
    header = _HEADER.pack(AF_BRIDGE, entry.index, entry.state, entry.flags, 0)
    remote = attribute(_DST, address_bytes(entry.remote)) if entry.remote else b""
    return header + attribute(_MAC, mac_bytes(entry.mac)) + remote


def build_neighbour_query(index: int, version: int | None = None) -> bytes:
    """The payload of a dump of one link's neighbours."""
    family = AF_UNSPEC if version is None else FAMILY[version]
    return _HEADER.pack(family, 0, 0, 0, 0) + attribute(_IFINDEX, u32(index))


def build_forwarding_query(index: int) -> bytes:
    """The payload of a dump of one device's forwarding entries."""
    return _HEADER.pack(AF_BRIDGE, 0, 0, 0, 0) + attribute(_IFINDEX, u32(index))


def parse_neighbour(payload: bytes) -> Neighbour:
    """Read the payload of RTM_NEWNEIGH or RTM_DELNEIGH. Raises MalformedMessage."""
    family, index, state, flags, _ = fields(_HEADER, payload, "a neighbour")
    found = attribute_map(payload, _HEADER.size)
    address = read_address(found.get(_DST, b""))
    if VERSION.get(family) != address.version:
        raise MalformedMessage(f"a neighbour of family {family} with the address {address}")
    return Neighbour(index, address, mac_text(found.get(_MAC, b"")), state, flags)


def parse_forwarding(payload: bytes) -> Forwarding:
    """Read the payload of RTM_NEWNEIGH or RTM_DELNEIGH of AF_BRIDGE. Raises MalformedMessage."""
    family, index, state, flags, _ = fields(_HEADER, payload, "a forwarding entry")
    if family != AF_BRIDGE:
        raise MalformedMessage(f"a forwarding entry has family {AF_BRIDGE}, found {family}")
    found = attribute_map(payload, _HEADER.size)
    remote = read_address(found[_DST]) if _DST in found else None
    return Forwarding(index, mac_text(found.get(_MAC, b"")), remote, state, flags)
