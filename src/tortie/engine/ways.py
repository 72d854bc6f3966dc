"""What nodes, pools and blocks say of the ways between nodes, and what is told of that.

The routes themselves are worked out by `routes`; here is which updates they come from, what the
settings put in the place of it, and the sets of hosts and pools that every firewall has.
"""

from collections.abc import Callable, Iterable

from tortie.api import IPAMBlock, IPPool, Key, Node
from tortie.api.calico.bgp_configuration import BGPConfiguration
from tortie.engine.delta import (
    ALL_HOSTS,
    ALL_POOLS,
    MASQ_POOLS,
    Delta,
    Encapsulation,
    Pool,
    ServiceCidrs,
    Vtep,
)
from tortie.engine.ledger import Single
from tortie.engine.nodes import NodeEnds, block_of, node_ends, pool_of
from tortie.engine.routes import Routes
from tortie.engine.services import service_cidrs
from tortie.engine.sets import Sets
from tortie.net import Prefix


class Ways:
    """Nodes, pools, blocks and services' ranges of the cluster, seen from one node.

    With `by_workload` (RouteSource `WorkloadIPs`) blocks of IPAM do not count.
    """

    def __init__(
        self, node: str, sets: Sets, by_workload: bool, warn: Callable[[str], None]
    ) -> None:
        self.routes = Routes(node)
        self.by_workload = by_workload
        self._sets, self._warn = sets, warn
        self._external_nodes: tuple[Prefix, ...] = ()
        self._tunnels: tuple[bool | None, bool | None] = (None, None)  # IPIP, VXLAN
        self._service_cidrs = ServiceCidrs()
        self._told_end = {version: Single[Vtep | None](None) for version in (4, 6)}
        self._told_encapsulation = Single(Encapsulation())
        self._told_cidrs = Single(ServiceCidrs())

    def force_tunnels(self, ipip: bool | None, vxlan: bool | None) -> None:
        """IpInIpEnabled and VXLANEnabled: on or off whatever pools ask for; None asks them."""
        self._tunnels = ipip, vxlan

    def accept_tunnels_of(self, nets: Iterable[Prefix]) -> None:
        """ExternalNodesCIDRList: who may send into tunnels beside the nodes of the cluster."""
        hosts = self._sets.fixed(ALL_HOSTS)
        hosts.discard(self._external_nodes)
        self._external_nodes = tuple(dict.fromkeys(one.network for one in nets))
        hosts.add(self._external_nodes)

    def bgp(self, key: Key, value: BGPConfiguration | None) -> None:
        """Services' addresses are the same on all nodes: only the default tells them."""
        if key.name != "default":
            return
        self._service_cidrs = ServiceCidrs()
        if value is not None:
            self._service_cidrs = service_cidrs(key, value, self._warn)

    def node(self, key: Key, value: Node | None) -> None:
        """A node is as told, or gone."""
        new = None if value is None else node_ends(key.name, value, self._warn)
        old = self.routes.put_node(key.name, new)
        if old != new:
            hosts = self._sets.fixed(ALL_HOSTS)
            hosts.discard(_hosts(old))
            hosts.add(_hosts(new))

    def pool(self, key: Key, value: IPPool | None) -> None:
        """A pool is as told, or gone."""
        new = None if value is None else pool_of(value, self._warn)
        old = self.routes.put_pool(key, new)
        if old == new:
            return
        for name, chosen in ((ALL_POOLS, _cidr), (MASQ_POOLS, _masqueraded)):
            pools = self._sets.fixed(name)
            pools.discard(chosen(old))
            pools.add(chosen(new))

    def block(self, key: Key, value: IPAMBlock | None) -> None:
        """A block of IPAM is as told, or gone."""
        if not self.by_workload:
            self.routes.put_block(key, None if value is None else block_of(value, self._warn))

    def drain(self) -> Delta:
        """What changed since the last call."""
        self.routes.settle()
        routes, routes_removed = self.routes.routes.drain()
        vteps, vteps_removed = self.routes.vteps.drain()
        vteps_v6, vteps_v6_removed = self.routes.vteps_v6.drain()
        hosts, hosts_removed = self.routes.hosts.drain()
        pools, pools_removed = self.routes.pools.told.drain()
        encapsulation = self._told_encapsulation.news(self._encapsulation())
        cidrs = self._told_cidrs.news(self._service_cidrs)
        return Delta(
            routes=routes,
            routes_removed=routes_removed,
            vteps=vteps,
            vteps_removed=vteps_removed,
            vteps_v6=vteps_v6,
            vteps_v6_removed=vteps_v6_removed,
            local_vtep=self._told_end[4].news(self._local_end(4)),
            local_vtep_v6=self._told_end[6].news(self._local_end(6)),
            hosts=hosts,
            hosts_removed=hosts_removed,
            pools=pools,
            pools_removed=pools_removed,
            encapsulation=None if encapsulation is None else encapsulation[0],
            service_cidrs=None if cidrs is None else cidrs[0],
        )

    def _encapsulation(self) -> Encapsulation:
        """What the pools ask for, unless the settings say otherwise."""
        asked, (ipip, vxlan) = self.routes.pools.encapsulation(), self._tunnels
        return Encapsulation(
            asked.ipip if ipip is None else ipip,
            asked.vxlan if vxlan is None else vxlan,
            asked.vxlan_v6 if vxlan is None else vxlan,
        )

    def _local_end(self, version: int) -> Vtep | None:
        is_off = self._tunnels[1] is False
        return None if is_off else self.routes.local_end(version)


def _cidr(pool: Pool | None) -> list[Prefix]:
    return [] if pool is None else [pool.cidr]


def _masqueraded(pool: Pool | None) -> list[Prefix]:
    return [pool.cidr] if pool is not None and pool.nat_outgoing else []


def _hosts(node: NodeEnds | None) -> list[Prefix]:
    if node is None:
        return []
    return [
        Prefix.single(main.version, main.address)
        for main in (node.main(4), node.main(6))
        if main is not None
    ]
