"""Which routes should be there: pure, from deltas and from what interfaces exist."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple, TypeVar

import msgspec

from tortie.dataplane.routes.settings import RouteSettings
from tortie.engine.delta import Delta, Route, RouteKind
from tortie.linux.netlink.rtnetlink import (
    RTN_BLACKHOLE,
    RTPROT_KERNEL,
    SCOPE_LINK,
    SCOPE_UNIVERSE,
    KernelRoute,
    Link,
)
from tortie.net import Prefix
from tortie.policy.program import Endpoint, EndpointId

_SEVERAL = 2
_K = TypeVar("_K")
_V = TypeVar("_V")


class Touched(NamedTuple):
    """What a delta may have changed."""

    destinations: set[Prefix]
    interfaces: set[str]


class DesiredRoutes:
    """The endpoints and routes of the node, indexed by destination and by interface.

    Equal final inputs give equal routes, whatever the order they came in.
    """

    def __init__(self, settings: RouteSettings) -> None:
        self._settings = settings
        self._routes: dict[Prefix, Route] = {}
        self._endpoints: dict[EndpointId, Endpoint] = {}
        self._claims: defaultdict[Prefix, set[EndpointId]] = defaultdict(set)
        self._interfaces: defaultdict[str, set[EndpointId]] = defaultdict(set)
        self._kinds: defaultdict[tuple[RouteKind, int], set[Prefix]] = defaultdict(set)
        self.contested: set[Prefix] = set()  # addresses that several endpoints claim

    def fold(self, delta: Delta) -> Touched:
        """Take a delta in; says what has to be looked at."""
        touched = Touched(set(), set())
        for endpoint_id in delta.endpoints_removed:
            self._drop_endpoint(endpoint_id, touched)
        for endpoint in delta.endpoints.values():
            if _needs_same(self._endpoints.get(endpoint.id), endpoint):
                self._endpoints[endpoint.id] = endpoint  # its policies changed, no business of ours
                continue
            self._drop_endpoint(endpoint.id, touched)
            self._add_endpoint(endpoint, touched)
        for destination in delta.routes_removed:
            self._drop_route(destination, touched)
        for route in delta.routes.values():
            self._drop_route(route.destination, touched)
            self._add_route(route, touched)
        return touched

    def _drop_endpoint(self, endpoint_id: EndpointId, touched: Touched) -> None:
        endpoint = self._endpoints.pop(endpoint_id, None)
        if endpoint is None:
            return
        _discard(self._interfaces, endpoint.interface, endpoint_id)
        touched.interfaces.add(endpoint.interface)
        for destination in _destinations(endpoint):
            _discard(self._claims, destination, endpoint_id)
            if len(self._claims.get(destination, ())) < _SEVERAL:
                self.contested.discard(destination)
            touched.destinations.add(destination)

    def _add_endpoint(self, endpoint: Endpoint, touched: Touched) -> None:
        if endpoint.id.kind != "WorkloadEndpoint":  # a host's interface has routes of its own
            return
        self._endpoints[endpoint.id] = endpoint
        self._interfaces[endpoint.interface].add(endpoint.id)
        touched.interfaces.add(endpoint.interface)
        for destination in _destinations(endpoint):
            claims = self._claims[destination]
            claims.add(endpoint.id)
            if len(claims) >= _SEVERAL:
                self.contested.add(destination)
            touched.destinations.add(destination)

    def _drop_route(self, destination: Prefix, touched: Touched) -> None:
        route = self._routes.pop(destination, None)
        if route is not None:
            _discard(self._kinds, (route.kind, destination.version), destination)
            touched.destinations.add(destination)

    def _add_route(self, route: Route, touched: Touched) -> None:
        self._routes[route.destination] = route
        self._kinds[route.kind, route.destination.version].add(route.destination)
        touched.destinations.add(route.destination)

    @property
    def endpoints(self) -> Mapping[EndpointId, Endpoint]:
        """The workloads of this node."""
        return self._endpoints

    @property
    def interfaces(self) -> Mapping[str, set[EndpointId]]:
        """Which endpoints name which interface; more than one is a mistake upstream."""
        return self._interfaces

    def destinations(self) -> Iterator[Prefix]:
        """Every destination that may need a route."""
        yield from self._claims
        yield from (prefix for prefix in self._routes if prefix not in self._claims)

    def through(self, interface: str) -> set[Prefix]:
        """The destinations whose routes need this very interface."""
        found = {
            destination
            for endpoint_id in self._interfaces.get(interface, ())
            for destination in _destinations(self._endpoints[endpoint_id])
        }
        for version in (4, 6):
            if interface == self._settings.vxlan_device(version):
                found |= self._kinds.get((RouteKind.VXLAN, version), set())
        if interface == self._settings.ipip_device:
            found |= self._kinds.get((RouteKind.IPIP, 4), set())
        return found

    def direct(self) -> set[Prefix]:
        """The destinations whose interface is the kernel's choice, by the gateway."""
        found: set[Prefix] = set()
        for kind in (RouteKind.DIRECT, RouteKind.PLAIN):
            for version in (4, 6):
                found |= self._kinds.get((kind, version), set())
        return found

    def claimed(self, destinations: Set[Prefix]) -> Set[Prefix]:
        """Those of the destinations that are addresses of workloads."""
        return self._claims.keys() & destinations

    def sealed(self, destinations: Set[Prefix]) -> set[Prefix]:
        """Those within a block that drops what goes to nobody."""
        blocks = [
            net for version in (4, 6) for net in self._kinds.get((RouteKind.BLACKHOLE, version), ())
        ]
        return {one for one in destinations if any(net.contains(one) for net in blocks)}

    def owner(self, destination: Prefix) -> EndpointId | None:
        """Which endpoint has this address; the lowest id where several claim it."""
        claims = self._claims.get(destination)
        return min(claims) if claims else None

    def rivals(self, destination: Prefix) -> list[EndpointId]:
        """The endpoints that claim an address and do not get it."""
        return sorted(self._claims.get(destination, ()))[1:]

    def route(self, destination: Prefix, links: Mapping[str, Link]) -> KernelRoute | None:
        """The route to a destination while these interfaces are up; None for none (yet).

        An address of a local workload wins over a route to the same place.
        """
        owner = self.owner(destination)
        if owner is not None:
            link = links.get(self._endpoints[owner].interface)
            return device_route(destination, link.index, self._settings) if link else None
        route = self._routes.get(destination)
        return cluster_route(route, links, self._settings) if route else None


def device_route(destination: Prefix, index: int, settings: RouteSettings) -> KernelRoute:
    """The route to a workload's address: it is right there, on the link."""
    return KernelRoute(
        destination,
        protocol=settings.device_protocol,
        scope=SCOPE_LINK if destination.version == 4 else SCOPE_UNIVERSE,
        table=settings.table,
        priority=settings.priority(destination.version),
        oif=index,
        source=settings.source(destination.version),
    )


def cluster_route(
    route: Route, links: Mapping[str, Link], settings: RouteSettings
) -> KernelRoute | None:
    """The route to a block, None while the device that it needs is not up."""
    version = route.destination.version
    plain = KernelRoute(
        route.destination,
        protocol=settings.cluster_protocol,
        table=settings.table,
        priority=settings.priority(version),
    )
    if route.kind is RouteKind.BLACKHOLE:
        return _with(plain, type=RTN_BLACKHOLE)
    if route.kind is RouteKind.DIRECT or (
        route.kind is RouteKind.PLAIN and settings.programs_plain
    ):
        return _with(plain, gateway=route.gateway)
    device = links.get(_tunnel(route, settings))
    if device is None:
        return None
    # The other end's address is on no subnet of the device, so the kernel has to be told.
    return _with(plain, gateway=route.gateway, oif=device.index, onlink=True)


def _tunnel(route: Route, settings: RouteSettings) -> str:
    """The device that a route needs; "" where the route is not made here.

    A plain one is BGP's business then, and one beyond our subnet (ROUTED) always: what is between
    has to know the way, and the node's own default route leads there.
    """
    if route.kind is RouteKind.VXLAN:
        return settings.vxlan_device(route.destination.version)
    return settings.ipip_device if route.kind is RouteKind.IPIP and settings.programs_ipip else ""


def as_wanted(route: KernelRoute, settings: RouteSettings) -> KernelRoute:
    """A route of the kernel in the form in which we would ask for it.

    The kernel fills in the interface of a DIRECT route, and the loopback for IPv6 blackholes.
    """
    chosen = route.protocol == settings.cluster_protocol and not route.onlink
    return _with(route, oif=0) if chosen and route.oif else route


def is_ours(route: KernelRoute, names: Mapping[int, str], settings: RouteSettings) -> bool:
    """Whether this driver made a route. `names` are the interfaces' by index."""
    if route.table != settings.table:
        return False
    if route.protocol == settings.cluster_protocol:
        return True
    if not settings.is_workload(names.get(route.oif, "")):
        return False
    foreign = settings.remove_external and route.protocol != RTPROT_KERNEL
    return foreign or route.protocol == settings.device_protocol


def _needs_same(old: Endpoint | None, new: Endpoint) -> bool:
    return old is not None and (
        old.interface,
        old.addresses,
        old.allowed_sources,
        old.floating,
    ) == (new.interface, new.addresses, new.allowed_sources, new.floating)


def _destinations(endpoint: Endpoint) -> list[Prefix]:
    """Its own addresses and the floating ones: these the firewall turns into its own."""
    own = [address.network for address in endpoint.addresses]
    return own + [pair.floating for pair in endpoint.floating]


def _with(route: KernelRoute, **changes: object) -> KernelRoute:
    return msgspec.structs.replace(route, **changes)


def _discard(index: defaultdict[_K, set[_V]], key: _K, value: _V) -> None:
    members = index[key]
    members.discard(value)
    if not members:
        del index[key]
