"""How this node reaches the blocks of the pools, and the addresses lent out of them.

- A block of our own is a black hole: its workloads have routes of their own, and what no workload
  has must not leave by the default route.
- A block of another node goes there by the mode of its pool: `Always` through VXLAN, `CrossSubnet`
  directly where the other node's address is in our own subnet and through VXLAN elsewhere, `Never`
  not at all (BGP's business).
- An address that a third node uses (borrowed, or of a block without an owner) is a route of its
  own to that node. Those that we use ourselves follow from our endpoints.
- Blocks name their owner themselves, so BlockAffinities are not asked: two sources of one fact
  could contradict each other between two writes.
"""

from collections import defaultdict
from collections.abc import Iterator

from tortie.api import Key
from tortie.engine.delta import Route, RouteKind, Vtep
from tortie.engine.ledger import Ledger
from tortie.engine.nodes import Block, NodeAddresses, Pool
from tortie.net import Prefix


class Routes:
    """Routes and tunnel ends, from nodes, pools and blocks."""

    def __init__(self, node: str) -> None:
        self.routes: Ledger[Prefix, Route] = Ledger()
        self.vteps: Ledger[str, Vtep] = Ledger()
        self._own = node
        self._local_vtep: list[Vtep | None] = [None]  # as told last
        self._nodes: dict[str, NodeAddresses] = {}
        self._pools: dict[Key, Pool] = {}
        self._blocks: dict[Key, Block] = {}
        self._on_node: defaultdict[str, set[Key]] = defaultdict(set)
        self._claims: defaultdict[Prefix, dict[Key, Route]] = defaultdict(dict)
        self._claimed: dict[Key, tuple[Prefix, ...]] = {}
        self._dirty: set[Key] = set()

    def put_node(self, name: str, node: NodeAddresses | None) -> NodeAddresses | None:
        """Take in a node, or its end; what was known of it before."""
        old = self._nodes.pop(name, None)
        if node is not None:
            self._nodes[name] = node
        if old == node:
            return old
        self._dirty |= self._blocks.keys() if name == self._own else self._on_node.get(name, set())
        if name != self._own and node is not None and node.vtep is not None:
            self.vteps.put(name, node.vtep)
        else:
            self.vteps.drop(name)
        return old

    def put_pool(self, key: Key, pool: Pool | None) -> Pool | None:
        """Take in a pool, or its end; what was known of it before."""
        old = self._pools.pop(key, None)
        if pool is not None:
            self._pools[key] = pool
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

    def local_vtep(self) -> tuple[Vtep | None] | None:
        """This node's own tunnel end if it differs from what was told last."""
        own = self._nodes.get(self._own)
        now = None if own is None else own.vtep
        if now == self._local_vtep[0]:
            return None
        self._local_vtep[0] = now
        return (now,)

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
        mode = self._mode(block.cidr)
        for destination, name in ((block.cidr, block.owner), *block.guests):
            route = None if name == self._own else self._to_node(destination, name, mode)
            if route is not None:
                yield destination, route

    def _mode(self, cidr: Prefix) -> str:
        """The VXLAN mode of the smallest pool around a block."""
        around = [pool for pool in self._pools.values() if pool.cidr.contains(cidr)]
        return max(around, key=_rank).vxlan_mode if around else "Never"

    def _to_node(self, destination: Prefix, name: str, mode: str) -> Route | None:
        node = self._nodes.get(name)
        if node is None or mode == "Never":
            return None
        main = node.main(destination.version)
        if mode == "CrossSubnet" and main is not None and self._is_neighbour(main):
            return Route(destination, RouteKind.DIRECT, main.address, name)
        if destination.version == 4 and node.vtep is not None:
            return Route(destination, RouteKind.VXLAN, node.vtep.address.address, name)
        return None

    def _is_neighbour(self, other: Prefix) -> bool:
        own = self._nodes.get(self._own)
        main = None if own is None else own.main(other.version)
        return main is not None and main.network.contains(
            Prefix.single(other.version, other.address)
        )


def _rank(pool: Pool) -> tuple[int, str]:
    return pool.cidr.length, pool.vxlan_mode


def _nodes_of(block: Block | None) -> set[str]:
    return set() if block is None else {block.owner, *(name for _, name in block.guests)}
