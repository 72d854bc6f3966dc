"""How full pools and blocks are."""

from collections.abc import Collection, Iterator, Sequence
from typing import cast

from msgspec import Struct

from tortie.api import IPAMBlock, IPPool, IPReservation
from tortie.datastore import Datastore
from tortie.ipam.block import cooling, is_sound, size_of
from tortie.ipam.pools import range_of
from tortie.ipam.records import Records
from tortie.ipam.terms import Terms, reserved_by
from tortie.net import Prefix, parse_network


class Usage(Struct, frozen=True):
    """Addresses of a pool or block. What is reserved, neither held nor cooling, can't be given."""

    name: str  # the pool's; a block's owner
    cidr: Prefix
    capacity: int
    in_use: int
    cooling: int
    reserved: int

    @property
    def free(self) -> int:
        """How many can be given: what Calico calls Available."""
        return self.capacity - self.in_use - self.cooling - self.reserved


class PoolUsage(Struct, frozen=True):
    """A pool and its blocks."""

    pool: Usage
    blocks: tuple[Usage, ...]


def utilization(records: Records) -> tuple[PoolUsage, ...]:
    """Each pool in the order of addresses. A pool whose CIDR is none, and damaged blocks, are left
    out.
    """
    return usage_of(records.pools, records.blocks, records.reservations)


async def read_utilization(store: Datastore, names: Collection[str] = ()) -> tuple[PoolUsage, ...]:
    """That of these pools, by name or CIDR; of all where none is named. Raises DatastoreError."""
    pools, reservations, blocks = [
        (await store.list(kind)).resources for kind in ("IPPool", "IPReservation", "IPAMBlock")
    ]
    wanted = [
        pool
        for pool in cast(tuple[IPPool, ...], pools)
        if not names or {pool.metadata.name, pool.spec.cidr} & set(names)
    ]
    return usage_of(
        wanted, cast(tuple[IPAMBlock, ...], blocks), cast(tuple[IPReservation, ...], reservations)
    )


def usage_of(
    pools: Sequence[IPPool], blocks: Sequence[IPAMBlock], reservations: Sequence[IPReservation]
) -> tuple[PoolUsage, ...]:
    """As `utilization`. Pure."""
    reserved = reserved_by(reservations)
    sound = [block for block in blocks if is_sound(block.spec)]
    found = _pools(pools, sound, reserved)
    return tuple(sorted(found, key=lambda one: (one.pool.cidr, one.pool.name)))


def _pools(
    pools: Sequence[IPPool], sound: Sequence[IPAMBlock], reserved: tuple[Prefix, ...]
) -> Iterator[PoolUsage]:
    for pool in pools:
        try:
            cidr = range_of(pool).cidr
        except ValueError:
            continue
        inside = [block for block in sound if cidr.contains(parse_network(block.spec.cidr))]
        blocks = tuple(sorted((_block(one, reserved) for one in inside), key=lambda one: one.cidr))
        yield PoolUsage(_pool(pool, cidr, blocks, reserved), blocks)


def _block(block: IPAMBlock, reserved: tuple[Prefix, ...]) -> Usage:
    spec, cidr = block.spec, parse_network(block.spec.cidr)
    resting = len(cooling(spec))
    held = sum(index is not None for index in spec.allocations) - resting
    kept = Terms.reserving(reserved).reserved_in(cidr) & set(spec.unallocated)
    return Usage(spec.affinity or "", cidr, size_of(cidr), held, resting, len(kept))


def _pool(
    pool: IPPool, cidr: Prefix, blocks: tuple[Usage, ...], reserved: tuple[Prefix, ...]
) -> Usage:
    """Reserved ones outside of blocks can't be held: they count whole."""
    nets = _disjoint(net if cidr.contains(net) else cidr for net in reserved if _meet(net, cidr))
    in_blocks = sum(
        size_of(_smaller(net, one.cidr)) for net in nets for one in blocks if _meet(net, one.cidr)
    )
    outside = sum(map(size_of, nets)) - in_blocks
    return Usage(
        pool.metadata.name,
        cidr,
        size_of(cidr),
        sum(one.in_use for one in blocks),
        sum(one.cooling for one in blocks),
        outside + sum(one.reserved for one in blocks),
    )


def _disjoint(nets: Iterator[Prefix]) -> list[Prefix]:
    kept: list[Prefix] = []
    for net in sorted(set(nets), key=lambda one: one.length):
        if not any(other.contains(net) for other in kept):
            kept.append(net)
    return kept


def _meet(one: Prefix, other: Prefix) -> bool:
    return one.contains(other) or other.contains(one)


def _smaller(one: Prefix, other: Prefix) -> Prefix:
    return other if one.contains(other) else one
