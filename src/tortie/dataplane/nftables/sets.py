"""What the kernel's sets hold: layouts, and elements as bytes. Pure.

A set of addresses is a hash set while it holds single addresses only, and an interval set as soon
as it holds a real prefix; the kernel's interval sets take disjoint ranges only. An element is its
key as the kernel keeps it, so that wanted and found ones compare without being decoded.
"""

import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from tortie.dataplane.nftables.fields import ESTABLISHED, INVALID, RELATED
from tortie.dataplane.nftables.names import checked_interface
from tortie.dataplane.policy.families import Family
from tortie.linux.netlink import nfnetlink, nfsets
from tortie.linux.netlink.nfexpr import Code
from tortie.linux.netlink.nfnetlink import SetFlag
from tortie.linux.netlink.nfsets import SetShape
from tortie.net import Prefix
from tortie.net.addresses import WIDTH
from tortie.policy.program import IPPort, Member

_IFNAME_ROOM = 16
_ADDRESS_TYPES = {4: 7, 6: 8}  # libnftables' numbers of the types ipv4_addr and ipv6_addr
_TYPES = {  # its numbers of others, and their bytes
    "inet_proto": (12, 1),
    "inet_service": (13, 2),
    "ct_state": (26, 4),
    "ifname": (41, _IFNAME_ROOM),
}
_CT_STATES = {"invalid": INVALID, "established": ESTABLISHED, "related": RELATED}


class Layout(Enum):
    """A set's representation: the fields of its key, "address" being of the table's family."""

    ADDRESSES = ("address",)
    NETS = ("address", "interval")
    IP_PORTS = ("address", "inet_proto", "inet_service")
    DISPATCH = ("ifname", "map")
    SOURCES = ("ifname", "address")
    SOURCE_NETS = ("ifname", "address", "interval")
    INTERFACES = ("ifname",)
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


def live_element(interface: str) -> Element:
    """An element of INTERFACES."""
    return Element(_ifname(interface))


def ct_element(state: str, chain: str) -> Element:
    """An element of the map of connection states; no chain means drop."""
    return Element(_CT_STATES[state].to_bytes(4, _BYTE_ORDER), chain=chain)


_BYTE_ORDER = sys.byteorder


def interface_of(element: Element) -> str:
    """The interface in the key of a DISPATCH, SOURCES or SOURCE_NETS element."""
    return element.key[:_IFNAME_ROOM].rstrip(b"\0").decode("ascii", "replace")


def _ifname(interface: str) -> bytes:
    return checked_interface(interface).encode().ljust(_IFNAME_ROOM, b"\0")


@lru_cache(maxsize=32)
def shape_of(layout: Layout, family: Family) -> SetShape:
    """How the kernel is told to make the set or map."""
    return SetShape(
        tuple(_kind(one, family) for one in layout.fields),
        is_interval=layout.is_interval,
        is_map=layout.is_map,
        is_host_order=layout in (Layout.CT_STATES, Layout.DISPATCH, Layout.INTERFACES),
    )


def _kind(field: str, family: Family) -> tuple[int, int]:
    if field == "address":
        return _ADDRESS_TYPES[family.version], WIDTH[family.version] // 8
    return _TYPES[field]


def layout_of(found: nfnetlink.Set, family: Family) -> Layout | None:
    """The layout of a set that is in the kernel; None for one that this driver does not make."""
    return _layouts(family).get((found.key_type, found.flags & ~SetFlag.CONCAT))


@lru_cache(maxsize=2)
def _layouts(family: Family) -> dict[tuple[int, SetFlag], Layout]:
    shapes = {layout: shape_of(layout, family) for layout in Layout}
    return {
        (shape.key_type, shape.flags & ~SetFlag.CONCAT): layout for layout, shape in shapes.items()
    }


def wire_elements(layout: Layout, elements: Iterable[Element]) -> Iterator[bytes]:
    """Elements as the kernel takes them."""
    for one in elements:
        if layout is Layout.NETS:
            yield nfsets.interval(one.key, one.end)
        elif layout is Layout.SOURCE_NETS:
            yield nfsets.box(one.key, one.end or one.key)
        elif layout is Layout.DISPATCH:
            yield nfsets.point(one.key, nfsets.verdict_data(Code.JUMP, one.chain))
        elif layout is Layout.CT_STATES:
            code = Code.GOTO if one.chain else Code.DROP
            yield nfsets.point(one.key, nfsets.verdict_data(code, one.chain))
        else:
            yield nfsets.point(one.key)


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
