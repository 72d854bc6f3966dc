"""Where the addresses of one request come from.

The node's own blocks, then new ones, then blocks that other nodes have and don't use, then single
addresses of other nodes' blocks.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple, cast

from tortie.api import AllocationAttribute, IPAMBlock, IPAMBlockSpec, IPAMConfigurationSpec
from tortie.datastore import Datastore
from tortie.ipam.affinities import Affinities, belongs
from tortie.ipam.block import Taken, is_sound, take
from tortie.ipam.errors import Exhausted
from tortie.ipam.names import Owner, owner_of
from tortie.ipam.pools import Range, blocks_for
from tortie.ipam.taking import Blocks
from tortie.ipam.terms import Terms
from tortie.ipam.types import Edges
from tortie.net import Prefix, parse_network

MOST_BLOCKS = 20  # of a node, where the configuration says 0


class Ask(NamedTuple):
    """`number` addresses of `ranges` (all of one family) for `owner`, noted as held by `by`."""

    owner: Owner
    number: int
    ranges: Sequence[Range]
    by: AllocationAttribute
    most: int = 0  # addresses of the handle
    most_blocks: int = 0  # of the owner; 0: as the configuration says
    edges: Edges | None = None


class Search:
    """Finds addresses for requests. The cheapest place comes first."""

    def __init__(self, store: Datastore, blocks: Blocks, affinities: Affinities) -> None:
        self._store = store
        self._blocks = blocks
        self._affinities = affinities

    async def find(self, ask: Ask, terms: Terms, into: list[Prefix]) -> None:
        """Add the addresses to `into`, as they are taken. Raises Exhausted."""
        end = len(into) + ask.number
        async with aclosing(self._places(ask, terms)) as places:
            async for cidr, block in places:
                choose = choice(ask, terms, end - len(into))
                into += await self._blocks.take(cidr, block, ask.by, choose, ask.most)
                if len(into) >= end:
                    return
        raise _exhausted(ask, terms.config, end - len(into))

    async def own_block(self, ask: Ask, terms: Terms) -> Prefix:
        """A block of the owner's, claimed if there is none. Raises Exhausted."""
        own = await self._affinities.blocks_of(ask.owner, terms.config.strict_affinity)
        cidrs = {parse_network(block.spec.cidr) for block in own}
        inside = sorted(cidr for cidr in cidrs if is_within(cidr, ask.ranges))
        if inside:
            return inside[0]
        async with aclosing(self._new(ask, terms, cidrs)) as fresh:
            async for block in fresh:
                return parse_network(block.spec.cidr)
        raise _exhausted(ask, terms.config, ask.number)

    async def check_apart(self, cidr: Prefix) -> None:
        """Raise Exhausted where a block of another size has some of these addresses already."""
        for block in await self._all():
            other = parse_network(block.spec.cidr)
            if other != cidr and _meet(other, cidr):
                raise Exhausted(
                    f"{cidr} overlaps with block {other}, which is there from a pool with another "
                    "blockSize: release its addresses first"
                )

    async def _places(
        self, ask: Ask, terms: Terms
    ) -> AsyncGenerator[tuple[Prefix, IPAMBlock], None]:
        """Blocks that may have free addresses."""
        for cidr, known in list(self._blocks.last.items()):
            if belongs(known, ask.owner) and is_within(cidr, ask.ranges):
                yield cidr, known
        own = await self._affinities.blocks_of(ask.owner, terms.config.strict_affinity)
        for block in own:
            cidr = parse_network(block.spec.cidr)
            if is_within(cidr, ask.ranges) and terms.has_room(block.spec):
                yield cidr, block
        async for new in self._new(ask, terms, {parse_network(block.spec.cidr) for block in own}):
            yield parse_network(new.spec.cidr), new
        if not terms.config.strict_affinity:
            async for block in self._others(ask, terms):
                yield parse_network(block.spec.cidr), block

    async def _new(
        self, ask: Ask, terms: Terms, own: set[Prefix]
    ) -> AsyncGenerator[IPAMBlock, None]:
        """Blocks that the node gets now, as many as it may have."""
        most = _most_blocks(ask, terms.config)
        owned = sum(cidr.version == ask.ranges[0].cidr.version for cidr in own)
        if not terms.config.auto_allocate_blocks or owned >= most:
            return
        others = [block for block in await self._all() if not belongs(block, ask.owner)]
        for claims in (self._unclaimed(ask, terms, own, others), self._unused(ask, terms, others)):
            async with aclosing(claims):
                async for block in claims:
                    owned += 1
                    yield block
                    if owned >= most:
                        return

    async def _unclaimed(
        self, ask: Ask, terms: Terms, own: set[Prefix], others: Sequence[IPAMBlock]
    ) -> AsyncGenerator[IPAMBlock, None]:
        # One that names the node without a claim, as a crash can leave it, is claimed anew.
        taken = own | {parse_network(block.spec.cidr) for block in others}
        for pool in ask.ranges:
            # An earlier pool with another blockSize can have left blocks that hold these addresses.
            odd = [cidr for cidr in taken if cidr.length != pool.block_length]
            for cidr in blocks_for(ask.owner.name, pool, (*terms.reserved, *odd)):
                if cidr in taken or any(_meet(cidr, other) for other in odd):
                    continue
                if not terms.is_reserved(cidr):
                    block = await self._claimed(ask, terms, cidr)
                    if block is not None:
                        yield block

    async def _unused(
        self, ask: Ask, terms: Terms, others: Sequence[IPAMBlock]
    ) -> AsyncGenerator[IPAMBlock, None]:
        """Blocks that another node has, empty, and not only since a moment ago."""
        for block in others:
            cidr, other = parse_network(block.spec.cidr), owner_of(block.spec.affinity)
            if not is_within(cidr, ask.ranges) or not terms.is_left_empty(block.spec):
                continue
            if other is not None and await self._affinities.release_empty(other, cidr):
                claimed = await self._claimed(ask, terms, cidr)
                if claimed is not None:
                    yield claimed

    async def _claimed(self, ask: Ask, terms: Terms, cidr: Prefix) -> IPAMBlock | None:
        strict = terms.config.strict_affinity
        return await self._affinities.claim(ask.owner, cidr, strict, ask.edges)

    async def _others(self, ask: Ask, terms: Terms) -> AsyncIterator[IPAMBlock]:
        everything = {parse_network(block.spec.cidr): block for block in await self._all()}
        for pool in ask.ranges:
            start = next(blocks_for(ask.owner.name, pool))
            inside = sorted(cidr for cidr in everything if pool.cidr.contains(cidr))
            # Each node begins at a place of its own, as with new blocks.
            for cidr in sorted(inside, key=lambda cidr: cidr < start):
                block = everything[cidr]
                if not belongs(block, ask.owner) and terms.has_room(block.spec):
                    yield block

    async def _all(self) -> list[IPAMBlock]:
        listing = await self._store.list("IPAMBlock")
        blocks = cast(tuple[IPAMBlock, ...], listing.resources)
        return [block for block in blocks if is_sound(block.spec)]


def choice(ask: Ask, terms: Terms, number: int) -> Callable[[IPAMBlockSpec], Taken]:
    """What to take of a block: looked at again whenever the block turns out to have changed."""

    def choose(spec: IPAMBlockSpec) -> Taken:
        own = spec.affinity == str(ask.owner)
        if spec.deleted or (not own and (terms.config.strict_affinity or spec.strict_affinity)):
            return Taken(spec, ())
        reserved = terms.reserved_in(parse_network(spec.cidr))
        return take(terms.cooled(spec), number, ask.by, reserved)

    return choose


def is_within(cidr: Prefix, ranges: Sequence[Range]) -> bool:
    return any(pool.cidr.contains(cidr) for pool in ranges)


def _meet(one: Prefix, other: Prefix) -> bool:
    return one.contains(other) or other.contains(one)


def _most_blocks(ask: Ask, config: IPAMConfigurationSpec) -> int:
    return ask.most_blocks or config.max_blocks_per_host or MOST_BLOCKS


def _exhausted(ask: Ask, config: IPAMConfigurationSpec, missing: int) -> Exhausted:
    pools = ", ".join(f"{pool.name} ({pool.cidr})" for pool in ask.ranges)
    limits = f"at most {_most_blocks(ask, config)} blocks a node"
    if not config.auto_allocate_blocks:
        limits += ", no new ones (autoAllocateBlocks is off)"
    if config.strict_affinity:
        limits += ", none borrowed from other nodes (strictAffinity)"
    return Exhausted(
        f"no address left for {ask.owner.name}: {missing} missing in {pools}; {limits}. "
        "Add a pool, or release what is not used"
    )
