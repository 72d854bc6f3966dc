"""What the kernel's sets hold: layouts, elements as bytes, and their text. Pure.

A set of addresses is a hash set while it holds single addresses only, and an interval set as soon
as it holds a real prefix; the kernel's interval sets take disjoint ranges only. An element is its
key as the kernel keeps it, so that wanted and found ones compare without being decoded.
"""

import socket
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from tortie.dataplane.nftables.names import TABLE, SetName, checked_interface
from tortie.dataplane.policy.families import Family
from tortie.linux.netlink import nfnetlink
from tortie.linux.netlink.nfnetlink import SetFlag, SetRef
from tortie.linux.netlink.sockets import Request
from tortie.net import Prefix
from tortie.net.addresses import WIDTH
from tortie.policy.program import IPPort, Member

_IFNAME_ROOM = 16
_ADDRESS_TYPES = {4: 7, 6: 8}  # libnftables' numbers of the types ipv4_addr and ipv6_addr
_TYPES = {"inet_proto": 12, "inet_service": 13, "ct_state": 26, "ifname": 41}
_TYPE_BITS = 6
_CT_STATES = {"invalid": 1, "established": 2, "related": 4}
_CT_NAMES = {number: name for name, number in _CT_STATES.items()}


class Layout(Enum):
    """A set's representation: the fields of its key, "address" being of the table's family."""

    ADDRESSES = ("address",)
    NETS = ("address", "interval")
    IP_PORTS = ("address", "inet_proto", "inet_service")
    DISPATCH = ("ifname", "map")
    SOURCES = ("ifname", "address")
    SOURCE_NETS = ("ifname", "address", "interval")
    CT_STATES = ("ct_state", "map")

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the key."""
        return tuple(one for one in self.value if one not in ("interval", "map"))

    @property
    def is_interval(self) -> bool:
        """Whether an element may be a range."""
        return "interval" in self.value

    @property
    def is_map(self) -> bool:
        """Whether elements carry a verdict."""
        return "map" in self.value


class Element(NamedTuple):
    """One element. `end` is the end of a range: the key after it in NETS (None: it runs to the
    last address), the last key in SOURCE_NETS, b"" elsewhere. `chain` is a map's target: the chain
    it jumps or goes to, "" for a drop.
    """

    key: bytes
    end: bytes | None = b""
    chain: str = ""


def member_element(layout: Layout, member: Member) -> Element:
    """A program set's member as an element of ADDRESSES, NETS or IP_PORTS."""
    width = WIDTH[member.version] // 8
    if isinstance(member, IPPort):
        port = member.port.to_bytes(2) + b"\0\0"
        return Element(member.address.to_bytes(width) + bytes((member.protocol, 0, 0, 0)) + port)
    if layout is Layout.ADDRESSES:
        return Element(member.address.to_bytes(width))
    after = member.last + 1
    end = None if after >> WIDTH[member.version] else after.to_bytes(width)
    return Element(member.address.to_bytes(width), end)


def source_element(interface: str, net: Prefix) -> Element:
    """An element of SOURCES (for one address) or SOURCE_NETS (for a net)."""
    width = WIDTH[net.version] // 8
    name = _ifname(interface)
    end = b"" if net.is_single else name + net.last.to_bytes(width)
    return Element(name + net.address.to_bytes(width), end)


def dispatch_element(interface: str, chain: str) -> Element:
    """An element of a dispatch map: packets of the interface jump to the chain."""
    return Element(_ifname(interface), chain=chain)


def ct_element(state: str, chain: str) -> Element:
    """An element of the map of connection states; no chain means drop."""
    return Element(_CT_STATES[state].to_bytes(4, _BYTE_ORDER), chain=chain)


_BYTE_ORDER = sys.byteorder


def interface_of(element: Element) -> str:
    """The interface in the key of a DISPATCH, SOURCES or SOURCE_NETS element."""
    return element.key[:_IFNAME_ROOM].rstrip(b"\0").decode("ascii", "replace")


def _ifname(interface: str) -> bytes:
    return checked_interface(interface).encode().ljust(_IFNAME_ROOM, b"\0")


def declaration(family: Family, name: SetName, layout: Layout) -> str:
    """The command that creates the set or map."""
    what = "map" if layout.is_map else "set"
    types = " . ".join(family.address_type if one == "address" else one for one in layout.fields)
    value = " : verdict" if layout.is_map else ""
    flags = " flags interval;" if layout.is_interval else ""
    return f"add {what} {family.nft} {TABLE} {name} {{ type {types}{value};{flags} }}"


def layout_of(found: nfnetlink.Set, family: Family) -> Layout | None:
    """The layout of a set that is in the kernel; None for one that this driver does not make."""
    for layout in Layout:
        if _shape(layout, family) == (found.key_type, _kept_flags(found.flags)):
            return layout
    return None


def _kept_flags(flags: SetFlag) -> SetFlag:
    return flags & ~SetFlag.CONCAT


def _shape(layout: Layout, family: Family) -> tuple[int, SetFlag]:
    number = 0
    for field in layout.fields:
        own = _ADDRESS_TYPES[family.version] if field == "address" else _TYPES[field]
        number = number << _TYPE_BITS | own
    flags = SetFlag.INTERVAL if layout.is_interval else SetFlag(0)
    return number, flags | (SetFlag.MAP if layout.is_map else SetFlag(0))


def elements_text(layout: Layout, family: Family, elements: Iterable[Element]) -> str:
    """Elements as they stand between the braces of `add element`."""
    return ", ".join(_element_text(layout, family, one) for one in elements)


def _element_text(layout: Layout, family: Family, element: Element) -> str:
    first = list(_decoded(layout, family, element.key))
    text = " . ".join(first)
    if layout is Layout.NETS:
        text = _span_text(element, first[0], family)
    elif layout is Layout.SOURCE_NETS and element.end:
        last = list(_decoded(layout, family, element.end))
        text = f"{first[0]} . {first[1]}-{last[1]}"
    if layout is Layout.DISPATCH:
        return f"{text} : jump {element.chain}"
    if layout is Layout.CT_STATES:
        return f"{text} : " + (f"goto {element.chain}" if element.chain else "drop")
    return text


def _span_text(element: Element, first: str, family: Family) -> str:
    width = WIDTH[family.version] // 8
    after = 1 << 8 * width if element.end is None else int.from_bytes(element.end)
    last = _address((after - 1).to_bytes(width))
    return first if last == first else f"{first}-{last}"


def _decoded(layout: Layout, family: Family, key: bytes) -> Iterator[str]:
    place = 0
    for field in layout.fields:
        room = _IFNAME_ROOM if field == "ifname" else 4
        room = WIDTH[family.version] // 8 if field == "address" else room
        yield _field_text(field, key[place : place + room])
        place += room


def _field_text(field: str, value: bytes) -> str:
    if field == "address":
        return _address(value)
    if field == "ifname":
        return f'"{checked_interface(value.rstrip(bytes(1)).decode("ascii", "replace"))}"'
    if field == "ct_state":
        return _CT_NAMES.get(int.from_bytes(value, _BYTE_ORDER), "new")
    return str(value[0] if field == "inet_proto" else int.from_bytes(value[:2]))


def _address(value: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def requests(
    family: Family,
    name: SetName,
    layout: Layout,
    removed: Iterable[Element],
    added: Iterable[Element],
) -> Iterator[Request]:
    """The netlink requests of a change of members; removals first, since ranges must not overlap.

    Only for the layouts of program sets: ADDRESSES, NETS, IP_PORTS.
    """
    target = SetRef(family.number, TABLE, name)
    yield from nfnetlink.delete_elements(target, (_wire(layout, one) for one in removed))
    yield from nfnetlink.add_elements(target, (_wire(layout, one) for one in added))


def _wire(layout: Layout, element: Element) -> bytes:
    if layout is Layout.NETS:
        return nfnetlink.interval(element.key, element.end)
    return nfnetlink.point(element.key)


def found_elements(layout: Layout, found: Iterable[nfnetlink.Element]) -> set[Element]:
    """A dump's elements, ranges put together, in the form of the wanted ones."""
    if layout is Layout.NETS:
        return set(_ranges(found))
    return {
        Element(one.key, b"" if one.last_key == one.key else one.last_key, one.chain)
        for one in found
    }


def _ranges(found: Iterable[nfnetlink.Element]) -> Iterator[Element]:
    """A range begins at an element and ends before the next one that is marked as an end."""
    start: bytes | None = None
    # At one key an end sorts before the start of the next range.
    for one in sorted(found, key=lambda each: (each.key, not each.is_end)):
        if start is not None:
            yield Element(start, one.key)
        start = None if one.is_end else one.key
    if start is not None:
        yield Element(start, None)
