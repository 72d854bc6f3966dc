"""What still holds a pool that is to go.

Addresses that another pool has as well hold nothing: that pool goes on explaining them, as after a
split. Nor do nodes' own ends of tunnels: a node has one for as long as there is a pool that asks
for it, this one too, and gives it back once the pool is gone.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from tortie.api import BlockAffinity, IPAMBlock, IPPool
from tortie.api.calico.ipam import AllocationAttribute
from tortie.datastore import Datastore
from tortie.ipam.block import EDGES_HANDLE, cooling
from tortie.ipam.words import some, whose
from tortie.net import Prefix, format_address, parse_network


class Holding(NamedTuple):
    """`claims` are for nodes to give up, `blocks` go with their addresses; `text` names users."""

    claims: tuple[Prefix, ...]
    blocks: tuple[Prefix, ...]
    text: str


async def read_holding(store: Datastore, pool: IPPool, others: Sequence[IPPool]) -> Holding:
    """As it is now. Raises DatastoreError."""
    claims = (await store.list("BlockAffinity")).resources
    blocks = (await store.list("IPAMBlock")).resources
    return holding(
        pool, others, cast(tuple[IPAMBlock, ...], blocks), cast(tuple[BlockAffinity, ...], claims)
    )


def holding(
    pool: IPPool,
    others: Sequence[IPPool],
    blocks: Iterable[IPAMBlock],
    claims: Iterable[BlockAffinity],
) -> Holding:
    """What of a pool is still claimed or in use. `others` are the pools that stay. Pure."""
    own, nets = net_of(pool), [net_of(other) for other in others]

    def is_own(text: str) -> bool:
        cidr = _net(text)
        covered = any(net and cidr and net.contains(cidr) for net in nets)
        return bool(own and cidr and own.contains(cidr)) and not covered

    there = [one for one in claims if not one.spec.deleted]  # of which nobody gives up any more
    held = [block for block in blocks if is_own(block.spec.cidr) and not _is_of_tunnels(block)]
    users = [name for block in held for name in _users(block)]
    resting = sum(len(cooling(block.spec)) for block in held)
    return Holding(
        tuple(sorted(parse_network(one.spec.cidr) for one in there if is_own(one.spec.cidr))),
        tuple(sorted(parse_network(block.spec.cidr) for block in held)),
        _text(users, resting),
    )


def _text(users: list[str], resting: int) -> str:
    parts = []
    if users:
        parts.append(f"{len(users)} of its addresses are in use: {some(users)}")
    if resting:
        parts.append(f"{resting} cool down")
    return "; ".join(parts) or "nodes give up their blocks of it"


def _users(block: IPAMBlock) -> Iterator[str]:
    spec, cidr, resting = block.spec, parse_network(block.spec.cidr), cooling(block.spec)
    for ordinal, index in enumerate(spec.allocations):
        if index is None or ordinal in resting or index >= len(spec.attributes):
            continue
        by = spec.attributes[index]
        if by.handle_id != EDGES_HANDLE and not _is_tunnel(by):
            name = whose(by.secondary) or by.handle_id or "somebody"
            yield f"{format_address(cidr.version, cidr.address + ordinal)} ({name})"


def _is_tunnel(by: AllocationAttribute) -> bool:
    """Whether an address is a node's end of a tunnel, whose types are "vxlanTunnelAddress" etc."""
    return by.secondary.get("type", "").endswith("TunnelAddress")


def _is_of_tunnels(block: IPAMBlock) -> bool:
    """Whether nothing but ends of tunnels is left in a block."""
    has_any = any(map(_is_tunnel, block.spec.attributes))
    return has_any and not any(_users(block)) and not cooling(block.spec)


def net_of(pool: IPPool) -> Prefix | None:
    """Its addresses; None where its CIDR is none."""
    return _net(pool.spec.cidr)


def _net(text: str) -> Prefix | None:
    try:
        return parse_network(text)
    except ValueError:
        return None
