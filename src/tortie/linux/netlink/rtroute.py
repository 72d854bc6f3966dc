"""Routes as rtnetlink messages (linux/rtnetlink.h)."""

import struct

from msgspec import Struct

from tortie.linux.netlink.rtfamily import BYTES, FAMILY, VERSION, fields
from tortie.linux.netlink.wire import MalformedMessage, attribute, attribute_map, read_u32
from tortie.net import Prefix, format_address

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, RTN_THROW = 1, 2, 6, 9
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253
TABLE_MAIN = 254
RTPROT_KERNEL = 2
RTM_F_CLONED, RTM_F_FIB_MATCH = 0x200, 0x2000
_ONLINK = 4

_HEADER = struct.Struct("=BBBBBBBBI")
_DST, _OIF, _GATEWAY, _PRIORITY, _SOURCE, _MULTIPATH, _TABLE = 1, 4, 5, 6, 7, 9, 15
_BY_GATEWAY = struct.Struct("=HH4sHHIHHIHH4s")
_U32_ATTRIBUTE = struct.Struct("=HHI")
_PROTOCOLS = {2: "kernel", 3: "boot", 4: "static", 9: "ra", 12: "bird", 16: "dhcp"}
_TYPES = {2: "local", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}


class KernelRoute(Struct, frozen=True):
    """A route as the kernel holds it.

    `oif` is an interface index (0: none, or the kernel's choice), `gateway` an address as int of
    the destination's family, `source` likewise what the node's own packets come from. `multipath`
    holds several next hops as the kernel wrote them; we make no such routes, but must not take one
    for a simple one.
    """

    destination: Prefix
    type: int = RTN_UNICAST
    protocol: int = 0
    scope: int = SCOPE_UNIVERSE
    table: int = TABLE_MAIN
    priority: int = 0
    oif: int = 0
    gateway: int | None = None
    onlink: bool = False
    multipath: bytes = b""
    source: int | None = None

    def __str__(self) -> str:
        words = [_TYPES.get(self.type, ""), str(self.destination)]
        if self.gateway is not None:
            words.append(f"via {format_address(self.destination.version, self.gateway)}")
        if self.oif:
            words.append(f"on interface {self.oif}")
        words.append(f"proto {_PROTOCOLS.get(self.protocol, self.protocol)}")
        words.append(f"metric {self.priority}")
        return " ".join(filter(None, words))


def build_route(route: KernelRoute) -> bytes:
    """The payload of RTM_NEWROUTE or RTM_DELROUTE."""
    version, address, length = route.destination
    if version == 4 and route.gateway is not None and not route.oif and length:
        return _build_by_gateway(route)
    size = BYTES[version]
    parts = [
        _header(route, FAMILY[version], length),
        attribute(_DST, address.to_bytes(size)) if length else b"",
        _U32_ATTRIBUTE.pack(8, _TABLE, route.table),
    ]
    if route.priority:
        parts.append(_U32_ATTRIBUTE.pack(8, _PRIORITY, route.priority))
    if route.oif:
        parts.append(_U32_ATTRIBUTE.pack(8, _OIF, route.oif))
    if route.gateway is not None:
        parts.append(attribute(_GATEWAY, route.gateway.to_bytes(size)))
    return b"".join(parts) + _rest(route)


def _build_by_gateway(route: KernelRoute) -> bytes:
    """The commonest by far, of many thousands: IPv4, by a gateway, on what interface it is on."""
    head = _header(route, FAMILY[4], route.destination.length)
    body = _BY_GATEWAY.pack(
        *(8, _DST, route.destination.address.to_bytes(4), 8, _TABLE, route.table),
        *(8, _PRIORITY, route.priority, 8, _GATEWAY, (route.gateway or 0).to_bytes(4)),
    )
    return head + body + _rest(route)


def _rest(route: KernelRoute) -> bytes:
    source = b""
    if route.source is not None:
        source = attribute(_SOURCE, route.source.to_bytes(BYTES[route.destination.version]))
    return source + attribute(_MULTIPATH, route.multipath) if route.multipath else source


def _header(route: KernelRoute, family: int, length: int) -> bytes:
    table = route.table if route.table < 256 else 0  # greater ones are in the attribute alone
    flags = _ONLINK if route.onlink else 0
    return _HEADER.pack(family, length, 0, 0, table, route.protocol, route.scope, route.type, flags)


def build_route_query(version: int, *, table: int = 0, protocol: int = 0, oif: int = 0) -> bytes:
    """The payload of a dump; 0 is any. The kernel filters (NETLINK_GET_STRICT_CHK)."""
    parts = [_HEADER.pack(FAMILY[version], 0, 0, 0, 0, protocol, 0, 0, 0)]
    if table:
        parts.append(_U32_ATTRIBUTE.pack(8, _TABLE, table))
    if oif:
        parts.append(_U32_ATTRIBUTE.pack(8, _OIF, oif))
    return b"".join(parts)


def build_route_lookup(destination: Prefix) -> bytes:
    """The payload of RTM_GETROUTE for the table entry that a packet to this address follows."""
    version, address, _ = destination
    family, size = FAMILY[version], BYTES[version]
    header = _HEADER.pack(family, size * 8, 0, 0, 0, 0, 0, 0, RTM_F_FIB_MATCH)
    return header + attribute(_DST, address.to_bytes(size))


def parse_route(payload: bytes) -> KernelRoute:
    """Read the payload of RTM_NEWROUTE or RTM_DELROUTE. Raises MalformedMessage."""
    family, length, _, _, table, protocol, scope, kind, flags = fields(_HEADER, payload, "a route")
    version = VERSION.get(family)
    if version is None or length > BYTES[version] * 8:
        raise MalformedMessage(f"a route of family {family} with a prefix of /{length}")
    found = attribute_map(payload, _HEADER.size)
    gateway, source = found.get(_GATEWAY), found.get(_SOURCE)
    return KernelRoute(
        Prefix(version, _address(found[_DST], version) if _DST in found else 0, length),
        kind,
        protocol,
        scope,
        read_u32(found[_TABLE]) if _TABLE in found else table,
        read_u32(found[_PRIORITY]) if _PRIORITY in found else 0,
        read_u32(found[_OIF]) if _OIF in found else 0,
        None if gateway is None else _address(gateway, version),
        bool(flags & _ONLINK),
        found.get(_MULTIPATH, b""),
        None if source is None else _address(source, version),
    )


def _address(value: bytes, version: int) -> int:
    if len(value) != BYTES[version]:
        raise MalformedMessage(f"a route of IPv{version} with an address of {len(value)} bytes")
    return int.from_bytes(value)
