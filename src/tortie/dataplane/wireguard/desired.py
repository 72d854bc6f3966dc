"""Who is a peer, what it may send, and what is looked up where: pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from tortie.dataplane.wireguard.keys import public_bytes
from tortie.dataplane.wireguard.settings import WireguardSettings
from tortie.engine.delta import Delta, Host, WireguardEnd
from tortie.linux.wireguard import Endpoint, Peer
from tortie.net import Prefix
from tortie.policy.program import EndpointId


class Way(StrEnum):
    """Where our table leads."""

    DEVICE = "device"  # encrypted
    MAIN = "main"  # to where the main table says: to a node that takes no part, or to a workload
    NOWHERE = "nowhere"  # dropped


class Touched(NamedTuple):
    """What a delta may have changed: nodes (as peers), destinations (in our table), ourselves."""

    nodes: set[str]
    destinations: set[Prefix]
    own: bool


class DesiredWireguard:
    """Hosts, routes and local addresses of one IP version, as the deltas said last."""

    def __init__(self, settings: WireguardSettings) -> None:
        self._settings = settings
        self._hosts: dict[str, Host] = {}
        self._with_key: defaultdict[str, set[str]] = defaultdict(set)  # nodes by public key
        # Nodes' own addresses that are reached through here, and who says that they are its.
        self._claims: defaultdict[Prefix, set[str]] = defaultdict(set)
        self._routes: dict[Prefix, str] = {}  # to nodes
        self._behind: defaultdict[str, set[Prefix]] = defaultdict(set)
        self._local: dict[EndpointId, tuple[Prefix, ...]] = {}
        self._here: dict[Prefix, int] = {}  # addresses of local workloads, how often each
        self._pools: set[Prefix] = set()  # those that workloads are given addresses of

    def configure(self, settings: WireguardSettings) -> None:
        """Other settings; whoever calls looks at everything anew."""
        self._settings = settings
        self._claims.clear()
        for name in self.nodes():
            self._claim(name)

    def fold(self, delta: Delta) -> Touched:
        """Take a delta in."""
        touched = Touched(set(), set(), _concerns(delta, self._settings.node))
        for name in delta.hosts_removed | delta.hosts.keys():
            rivals = self._rivals(name)
            self._touch_node(name, touched)
            self._put_host(name, delta.hosts.get(name))
            self._touch_node(name, touched)
            touched.nodes.update(rivals, self._rivals(name))
        for destination in delta.routes_removed:
            self._put_route(destination, "", touched)
        for route in delta.routes.values():
            self._put_route(route.destination, route.node, touched)
        for endpoint_id in delta.endpoints_removed:
            self._put_local(endpoint_id, (), touched)
        for endpoint in delta.endpoints.values():
            self._put_local(endpoint.id, endpoint.addresses, touched)
        for cidr in delta.pools_removed | delta.pools.keys():
            pool = delta.pools.get(cidr)
            self._put_pool(cidr, pool is not None and pool.assigned, touched)
        return touched

    def _put_pool(self, cidr: Prefix, assigned: bool, touched: Touched) -> None:
        if cidr.version == self._settings.version:
            touched.destinations.add(cidr)
            if assigned:
                self._pools.add(cidr)
            else:
                self._pools.discard(cidr)

    def _touch_node(self, name: str, touched: Touched) -> None:
        own = tuple(self._own_addresses(name))
        touched.nodes.update({name}, *(self._claims.get(address, ()) for address in own))
        touched.destinations.update(self._behind.get(name, ()), own)
        if (main := self._main(name)) is not None:
            touched.destinations.update(one for one in self._pools if _overlap(one, main.network))

    def _put_host(self, name: str, host: Host | None) -> None:
        self._disclaim(name)
        before = self._end(name)
        if before is not None:
            self._with_key[before.public_key].discard(name)
            if not self._with_key[before.public_key]:
                del self._with_key[before.public_key]
        self._hosts.pop(name, None)
        if host is None:
            return
        self._hosts[name] = host
        now = self._end(name)
        if now is not None:
            self._with_key[now.public_key].add(name)
        if name != self._settings.node:
            self._claim(name)

    def _claim(self, name: str) -> None:
        for address in self._own_addresses(name):
            self._claims[address].add(name)

    def _disclaim(self, name: str) -> None:
        for address in self._own_addresses(name):
            claims = self._claims.get(address, set())
            claims.discard(name)
            if not claims:
                self._claims.pop(address, None)

    def _put_route(self, destination: Prefix, node: str, touched: Touched) -> None:
        if destination.version != self._settings.version:
            return
        before = self._routes.pop(destination, "")
        if before:
            self._behind[before].discard(destination)
        if node:
            self._routes[destination] = node
            self._behind[node].add(destination)
        touched.nodes.update(filter(None, (before, node)), self._claims.get(destination, ()))
        touched.destinations.add(destination)

    def _put_local(
        self, endpoint_id: EndpointId, addresses: tuple[Prefix, ...], touched: Touched
    ) -> None:
        before = self._local.pop(endpoint_id, ())
        mine = tuple(one.network for one in addresses if one.version == self._settings.version)
        if mine:
            self._local[endpoint_id] = mine
        if before == mine:
            return
        for address in before:
            self._here[address] -= 1
            if not self._here[address]:
                del self._here[address]
        for address in mine:
            self._here[address] = self._here.get(address, 0) + 1
        touched.destinations.update(before, mine)

    @property
    def own(self) -> WireguardEnd | None:
        """What this node publishes, None for nothing: then it takes no part."""
        return self._end(self._settings.node)

    @property
    def underlay(self) -> Prefix | None:
        """This node's main address."""
        return self._main(self._settings.node)

    def nodes(self) -> set[str]:
        """All others."""
        return self._hosts.keys() - {self._settings.node}

    def destinations(self) -> set[Prefix]:
        """All that our table may have to say something of."""
        return self._routes.keys() | self._here.keys() | self._claims.keys() | self._pools

    def _rivals(self, node: str) -> set[str]:
        """All nodes with the public key of this one."""
        end = self._end(node)
        return set() if end is None else self._with_key.get(end.public_key, set())

    def clash(self, node: str) -> str | None:
        """Another node that has this one's public key and keeps it: ours, or the first by name."""
        rivals = self._rivals(node) - {node}
        if self._settings.node in rivals:
            return self._settings.node
        first = min(rivals, default=node)
        return first if first < node else None

    def peer(self, node: str) -> Peer | None:
        """A node as a peer; None for one that takes no part, or that has another's key."""
        end, main = self._end(node), self._main(node)
        if end is None or main is None or node == self._settings.node or self.clash(node):
            return None
        address = Prefix.single(main.version, main.address)
        return Peer(
            public_bytes(end.public_key),
            Endpoint(address, self._settings.port),
            self._settings.keepalive,
            frozenset((*self._behind.get(node, ()), *self._held_addresses(node))),
        )

    def peers(self) -> Mapping[bytes, Peer]:
        """All peers by public key."""
        found = (self.peer(node) for node in self.nodes())
        return {peer.public_key: peer for peer in found if peer is not None}

    def way(self, destination: Prefix) -> Way | None:
        """Where our table leads for a destination; None: it says nothing.

        What is behind a node without a key may lie in a block of one that has one, and so may an
        address of our own that was borrowed from there. A node that takes part and can't be spoken
        with is not reached, rather than reached in clear. So is what lies in a pool and is known of
        no node: it may be of a block that others know before we do, and the main table, where BIRD
        writes, or the default route would have it in clear.
        """
        if destination in self._here:
            return Way.MAIN
        node = self._whose(destination)
        if node:
            return Way.DEVICE if self._end(node) is not None else Way.MAIN
        is_closed = destination in self._pools and not self._holds_machines(destination)
        return Way.NOWHERE if is_closed else None

    def _whose(self, destination: Prefix) -> str:
        """The node that a destination is behind; of several that claim an address as their own the
        first by name, whatever the order they came in: one that leaves takes nothing of another's.
        """
        claims = self._claims.get(destination, ())
        return self._routes.get(destination) or min(claims, default="")

    def _held_addresses(self, node: str) -> Iterator[Prefix]:
        """Of a node's own addresses those that are no other's: a device knows one peer for each."""
        return (one for one in self._own_addresses(node) if self._whose(one) == node)

    def _holds_machines(self, pool: Prefix) -> bool:
        """Whether nodes have their own addresses out of a pool: then it is not for workloads alone,
        and who else has one is not known."""
        mains = (self._main(name) for name in self._hosts)
        return any(_overlap(pool, main.network) for main in mains if main is not None)

    def _end(self, node: str) -> WireguardEnd | None:
        host = self._hosts.get(node)
        if host is None:
            return None
        return host.wireguard if self._settings.version == 4 else host.wireguard_v6

    def _main(self, node: str) -> Prefix | None:
        host = self._hosts.get(node)
        if host is None:
            return None
        return host.ipv4 if self._settings.version == 4 else host.ipv6

    def _own_addresses(self, node: str) -> Iterator[Prefix]:
        """A node's own addresses that are reached through WireGuard."""
        end, main = self._end(node), self._main(node)
        if end is None:
            return
        if end.address is not None:
            yield Prefix.single(end.address.version, end.address.address)
        if self._settings.encrypts_hosts and main is not None:
            yield Prefix.single(main.version, main.address)


def _overlap(one: Prefix, other: Prefix) -> bool:
    return one.contains(other) or other.contains(one)


def _concerns(delta: Delta, node: str) -> bool:
    return node in delta.hosts or node in delta.hosts_removed
