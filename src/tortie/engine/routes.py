"""How this node reaches the blocks of the pools, and the addresses lent out of them.

- A block of our own is a black hole: its workloads have routes of their own, and what no workload
  has must not leave by the default route.
- A block of another node goes there by the mode of its pool: `Always` through the pool's tunnel,
  VXLAN or IPIP, `CrossSubnet` directly where the other node's address is in our own subnet and
  through the tunnel elsewhere. A pool without a tunnel is BGP's business, or is programmed where
  the agent is told to; a block of no pool is nobody's.
- An address that a third node uses (borrowed, or of a block without an owner) is a route of its
  own to that node. Those that we use ourselves follow from our endpoints.
- Blocks name their owner themselves, so BlockAffinities are not asked: two sources of one fact
  could contradict each other between two writes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tortie.api import Key
from tortie.engine.delta import Host, Pool, Route, RouteKind, Vtep
from tortie.engine.ledger import Ledger
from tortie.engine.nodes import Block, NodeEnds
from tortie.engine.pools import Pools
from tortie.net import Prefix


class Routes:
    """Routes, hosts and tunnel ends, from nodes, pools and blocks."""

    def __init__(self, node: str) -> None:
        self.routes: Ledger[Prefix, Route] = Ledger()
        self.hosts: Ledger[str, Host] = Ledger()
        self.vteps: Ledger[str, Vtep] = Ledger()
        self.vteps_v6: Ledger[str, Vtep] = Ledger()
        self.pools = Pools()
        self._own = node
        self._nodes: dict[str, NodeEnds] = {}
        self._blocks: dict[Key, Block] = {}
        self._on_node: defaultdict[str, set[Key]] = defaultdict(set)
        self._claims: defaultdict[Prefix, dict[Key, Route]] = defaultdict(dict)
        self._claimed: dict[Key, tuple[Prefix, ...]] = {}
        self._dirty: set[Key] = set()

    def put_node(self, name: str, node: NodeEnds | None) -> NodeEnds | None:
        """Take in a node, or its end; what was known of it before."""
        old = self._nodes.pop(name, None)
        if node is not None:
            self._nodes[name] = node
        if old == node:
            return old
        self._dirty |= self._blocks.keys() if name == self._own else self._on_node.get(name, set())
        self.hosts.set(name, None if node is None else node.host)
        remote = None if name == self._own else node
        self.vteps.set(name, None if remote is None else remote.vtep)
        self.vteps_v6.set(name, None if remote is None else remote.vtep_v6)
        return old

    def put_pool(self, key: Key, pool: Pool | None) -> Pool | None:
        """Take in a pool, or its end; what was known of it before."""
        old = self.pools.put(key, pool)
        if old != pool:
            for each in filter(None, (old, pool)):
                self._dirty |= {k for k, b in self._blocks.items() if each.cidr.contains(b.cidr)}
        return old

    def put_block(self, key: Key, block: Block | None) -> None:
        """Take in a block, or its end."""
        old = self._blocks.pop(key, None)
        if block is not None:
            self._blocks[key] = block
        if old == block:
            return
        for name in _nodes_of(old):
            self._on_node[name].discard(key)
            if not self._on_node[name]:
                del self._on_node[name]
        for name in _nodes_of(block):
            self._on_node[name].add(key)
        self._dirty.add(key)

    def put_workload(self, key: Key, node: str, addresses: Iterable[Prefix]) -> None:
        """Take in a workload whose addresses are from no block (RouteSource `WorkloadIPs`).

        Each is a route of its own, as one that is lent out of a block without an owner.
        """
        found = tuple(addresses)
        for version in (4, 6):
            mine = [one for one in found if one.version == version]
            lent = Block(mine[0], "", tuple((one, node) for one in mine)) if mine else None
            self.put_block(Key(f"{key.kind}/{version}", key.namespace, key.name), lent)

    def settle(self) -> None:
        """Work out the routes of all blocks that may have others."""
        touched: set[Prefix] = set()
        for key in self._dirty:
            block = self._blocks.get(key)
            found = {} if block is None else dict(self._of_block(block))
            for destination in self._claimed.pop(key, ()):
                del self._claims[destination][key]
                touched.add(destination)
            for destination, route in found.items():
                self._claims[destination][key] = route
                touched.add(destination)
            if found:
                self._claimed[key] = tuple(found)
        self._dirty = set()
        for destination in touched:
            self._decide(destination)

    def local_end(self, version: int) -> Vtep | None:
        """This node's own VXLAN tunnel end for packets of an IP version."""
        own = self._nodes.get(self._own)
        return None if own is None else own.tunnel_end(version)

    def _decide(self, destination: Prefix) -> None:
        """Of several blocks' routes for one destination the first block's holds."""
        claims = self._claims[destination]
        if claims:
            self.routes.put(destination, claims[min(claims)])
        else:
            del self._claims[destination]
            self.routes.drop(destination)

    def _of_block(self, block: Block) -> Iterator[tuple[Prefix, Route]]:
        if block.owner == self._own:
            yield block.cidr, Route(block.cidr, RouteKind.BLACKHOLE)
        pool = self.pools.around(block.cidr)
        if pool is None:
            return
        for destination, name in ((block.cidr, block.owner), *block.guests):
            route = None if name == self._own else self._to_node(destination, name, pool)
            if route is not None:
                yield destination, route

    def _to_node(self, destination: Prefix, name: str, pool: Pool) -> Route | None:
        """None while the node has no address.

        While it has no tunnel end yet the way is ROUTED: the kernel gets no route, and WireGuard,
        which needs none, goes on with its peer.
        """
        node = self._nodes.get(name)
        main = None if node is None else node.main(destination.version)
        if node is None or main is None:
            return None
        near = self._is_neighbour(main)
        mode = pool.vxlan_mode if pool.vxlan_mode != "Never" else pool.ipip_mode
        if mode == "Never":
            kind = RouteKind.PLAIN if near else RouteKind.ROUTED
        elif mode == "CrossSubnet" and near:
            kind = RouteKind.DIRECT
        elif pool.vxlan_mode != "Never":
            end = node.tunnel_end(destination.version)
            if end is not None:
                return Route(destination, RouteKind.VXLAN, end.address.address, name)
            kind = RouteKind.ROUTED
        else:
            kind = RouteKind.IPIP
        return Route(destination, kind, main.address, name)

    def _is_neighbour(self, other: Prefix) -> bool:
        own = self._nodes.get(self._own)
        main = None if own is None else own.main(other.version)
        return main is not None and main.network.contains(
            Prefix.single(other.version, other.address)
        )


def _nodes_of(block: Block | None) -> set[str]:
    return set() if block is None else {block.owner, *(name for _, name in block.guests)}
