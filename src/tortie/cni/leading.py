"""The routes of a container: everything through the node, whatever interfaces it has.

The first interface has the default route. A further one has what its network names, and a table of
its own for packets from its addresses: two default routes in one table would be one, and an answer
that left by the other interface would be taken for a forged one. `eth0` is the first, also where
others came before it; without an `eth0` who came first is.
"""

from collections.abc import Iterator, Mapping, Sequence

from tortie.cni.result import HOST_MAC, gateway
from tortie.kubernetes.names import ENDPOINT
from tortie.linux.links import Links
from tortie.linux.neighbours import Neighbours
from tortie.linux.netlink.rtneighbour import Neighbour
from tortie.linux.netlink.rtroute import SCOPE_LINK, SCOPE_UNIVERSE, TABLE_MAIN, KernelRoute
from tortie.linux.netlink.rtrule import Rule
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes, deleting, replacing
from tortie.linux.rules import Rules
from tortie.net import Prefix, parse_network

_LOCAL = parse_network("fe80::/10")
_STATIC = 4  # RTPROT_STATIC
_TABLES = 0x7470000  # a further interface's table: this and its index
_MOST_INTERFACES = 1 << 16
_PRIORITY = 7400  # before the main table's rule


def lead_through(
    sock: NetlinkSocket, index: int, addresses: Sequence[Prefix], wanted: Sequence[Prefix]
) -> Iterator[Prefix]:
    """Lead the destinations through an interface; yields those of the main table.

    The gateway's MAC is told, so that no first packet waits for the node's answer. Interfaces of
    one container take turns. Raises OSError.
    """
    for family in sorted({address.version for address in addresses}):
        own = [one for one in addresses if one.version == family]
        routes = [one for one in wanted if one.version == family]
        if _is_further(sock, index, family):
            _lead_apart(sock, index, own)
            made = [_by_gateway(one, index, onlink=True) for one in routes if one.length]
        else:
            _reach_gateway(sock, index, family)
            made = [_by_gateway(one, index) for one in routes]
        Neighbours(sock).set(Neighbour(index, gateway(family), HOST_MAC))
        for route in made:
            sock.request(replacing(route))
            yield route.destination


def lead_no_more(sock: NetlinkSocket, name: str) -> None:
    """Remove our rules for an interface that goes, and for those that are gone. Raises OSError.

    Routes go with an interface by themselves. The rules are read before the interfaces: one that
    comes meanwhile has its rules after itself.
    """
    rules = [rule for family in (4, 6) for rule in Rules(sock).list(family)]
    staying = {link.index for link in Links(sock).list() if link.name != name}
    for rule in rules:
        index = rule.table - _TABLES
        if 0 < index < _MOST_INTERFACES and index not in staying:
            Rules(sock).delete(rule)


def _is_further(sock: NetlinkSocket, index: int, family: int) -> bool:
    """Whether another interface has the default route already, and keeps it."""
    others = [
        route
        for route in Routes(sock).list(family, table=TABLE_MAIN)
        if route.destination.length == 0 and route.oif not in (0, index)
    ]
    if not others:
        return False
    names = {link.index: link.name for link in Links(sock).list()}
    if names.get(index) != ENDPOINT or not all(_is_ours(one, names) for one in others):
        return True
    for route in others:
        _make_way(sock, route, names[route.oif])
    return False


def _is_ours(route: KernelRoute, names: Mapping[int, str]) -> bool:
    out = gateway(route.destination.version).address
    return (route.gateway, route.protocol) == (out, _STATIC) and route.oif in names


def _make_way(sock: NetlinkSocket, route: KernelRoute, name: str) -> None:
    """Lead one apart that came before the first interface, and had the default route so far."""
    version = route.destination.version
    held = [one.prefix for one in Links(sock).addresses(name) if one.prefix.version == version]
    _lead_apart(sock, route.oif, [one for one in held if not _LOCAL.contains(one.network)])
    sock.request(deleting(route))


def _lead_apart(sock: NetlinkSocket, index: int, addresses: Sequence[Prefix]) -> None:
    table = _TABLES + index
    for address in addresses:
        everything = Prefix(address.version, 0, 0)
        sock.request(replacing(_by_gateway(everything, index, table, onlink=True)))
        rule = Rule(address.version, _PRIORITY, table, source=address, protocol=_STATIC)
        Rules(sock).add(rule)


def _reach_gateway(sock: NetlinkSocket, index: int, family: int) -> None:
    scope = SCOPE_LINK if family == 4 else SCOPE_UNIVERSE
    sock.request(replacing(KernelRoute(gateway(family), protocol=_STATIC, scope=scope, oif=index)))


def _by_gateway(
    destination: Prefix, index: int, table: int = TABLE_MAIN, *, onlink: bool = False
) -> KernelRoute:
    """IPv4's gateway is on no subnet; IPv6's is on every link, and needs no word of that."""
    family = destination.version
    return KernelRoute(
        destination,
        protocol=_STATIC,
        table=table,
        oif=index,
        gateway=gateway(family).address,
        onlink=onlink and family == 4,
    )
