"""A node's claims to blocks, and how two nodes never both get one.

The order of writes is what makes a crash harmless: the claim is written as pending, then the block
is created with the owner's name (creating decides the race), then the claim is confirmed. Releasing
goes the other way round: the claim says pendingDeletion, the block loses the name or goes, then the
claim goes. Whoever finds a half-done claim of its own node finishes it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol, cast, runtime_checkable

from msgspec.structs import replace

from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    IPAMBlock,
    Key,
    ObjectMeta,
    Resource,
)
from tortie.datastore import AlreadyExists, Conflict, Datastore, Listing, NotFound
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.ipam.block import empty_block, is_empty, is_sound
from tortie.ipam.errors import IpamError
from tortie.ipam.names import Owner, affinity_key, block_key
from tortie.ipam.types import Edges
from tortie.net import Prefix, parse_network

_TYPE_LABEL = "projectcalico.org/affinity-type"

State = Literal["pending", "confirmed", "pendingDeletion"]


@runtime_checkable
class Labels(Protocol):
    """A datastore whose writers give claims labels, by which others select them."""

    def labelled(self, resource: Resource) -> Resource:
        """The resource as it would be written."""
        ...


class Affinities:
    """The claims of one datastore. `clock` gives the time as RFC 3339 text."""

    def __init__(self, store: Datastore, clock: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock

    async def blocks_of(self, owner: Owner, strict: bool) -> list[IPAMBlock]:
        """The blocks that belong to it, half-done claims and releases finished."""
        own = claims_of(owner, await self._store.list("BlockAffinity"))
        found = await asyncio.gather(*(self._settled(claim, strict) for claim in own))
        return [block for block in found if block is not None]

    async def claim(
        self, owner: Owner, cidr: Prefix, strict: bool, edges: Edges | None = None
    ) -> IPAMBlock | None:
        """The block, now the owner's; None where somebody else has it."""
        claim = await self._pending(owner, cidr)
        if claim is None:
            return None
        block = await self._made(owner, cidr, strict, edges)
        if block is None or not is_sound(block.spec) or not belongs(block, owner):
            await self._dropped(claim)
            return None
        if not await self._confirmed(claim):
            await self.release(owner, cidr)  # given up while we claimed: so is the block
            return None
        return block

    async def release(self, owner: Owner, cidr: Prefix) -> None:
        """Give up a block and the claim to it, if there are such.

        An empty block goes; from one in use only the name goes.
        """
        for attempt in range(ATTEMPTS):
            claim = cast(BlockAffinity | None, await self._get(affinity_key(owner, cidr)))
            if await self._released(claim, owner, cidr):
                return
            await pause(attempt)
        raise Conflict(f"the claim of {owner} to {cidr} changed under {ATTEMPTS} attempts: retry")

    async def upgrade(self, owner: Owner) -> None:
        """Write claims anew that say no type, or lack the labels that others select them by."""
        for claim in claims_of(owner, await self._store.list("BlockAffinity")):
            wanted = self._as_written(claim if claim.spec.type else _typed(claim, owner.type))
            if wanted != claim:
                with suppress(Conflict, NotFound):  # who was faster wrote it as it is to be
                    await self._store.update(wanted)

    def _as_written(self, claim: BlockAffinity) -> BlockAffinity:
        store = self._store  # etcd has a claim's type in its key, and keeps no labels of it
        return cast(BlockAffinity, store.labelled(claim)) if isinstance(store, Labels) else claim

    async def release_empty(self, owner: Owner, cidr: Prefix) -> bool:
        """Give up a block of another node if nobody uses it; whether that was so.

        An assignment that its node has under way fails to write the block, and looks again.
        """
        claim = cast(BlockAffinity | None, await self._get(affinity_key(owner, cidr)))
        block = await self.block(cidr)
        if claim is None or claim.spec.state != "confirmed":
            return False
        if block is None or not belongs(block, owner) or not is_empty(block.spec):
            return False
        going = claim
        try:
            going = cast(
                BlockAffinity, await self._store.update(_in_state(claim, "pendingDeletion"))
            )
            await self._store.delete(block.key, _revision(block))
        except (Conflict, NotFound):
            with suppress(Conflict, NotFound):  # its node has seen to it meanwhile
                await self._store.update(_in_state(going, "confirmed"))
            return False
        await self._dropped(going)
        return True

    async def block(self, cidr: Prefix) -> IPAMBlock | None:
        """The block, whoever's it is. Raises IpamError for one that does not add up."""
        found = cast(IPAMBlock | None, await self._get(block_key(cidr)))
        if found is not None and not is_sound(found.spec):
            raise IpamError(
                f"{found.key} is damaged: its allocations, attributes and unallocated addresses "
                "don't agree; repair it, or delete it if nobody uses its addresses"
            )
        return found

    async def _settled(self, claim: BlockAffinity, strict: bool) -> IPAMBlock | None:
        owner, cidr = claimant(claim), parse_network(claim.spec.cidr)
        if claim.spec.state == "pendingDeletion":
            await self.release(owner, cidr)
            return None
        block = cast(IPAMBlock | None, await self._get(block_key(cidr)))
        if block is not None and not is_sound(block.spec):
            return None  # the owner's other blocks still serve
        if claim.spec.state == "confirmed" and block is not None and belongs(block, owner):
            return block
        return await self.claim(owner, cidr, strict)

    async def _pending(self, owner: Owner, cidr: Prefix) -> BlockAffinity | None:
        """The claim, new or found; None for one that is being given up."""
        fresh = BlockAffinity(
            metadata=ObjectMeta(name=affinity_key(owner, cidr).name),
            spec=BlockAffinitySpec(
                state="pending", node=owner.name, type=owner.type, cidr=str(cidr)
            ),
        )
        try:
            return cast(BlockAffinity, await self._store.create(fresh))
        except AlreadyExists:
            found = cast(BlockAffinity | None, await self._get(fresh.key))
        return found if found and found.spec.state != "pendingDeletion" else None

    async def _made(
        self, owner: Owner, cidr: Prefix, strict: bool, edges: Edges | None
    ) -> IPAMBlock | None:
        fresh = IPAMBlock(
            metadata=ObjectMeta(name=block_key(cidr).name),
            spec=empty_block(cidr, str(owner), strict, self._clock(), edges),
        )
        try:
            return cast(IPAMBlock, await self._store.create(fresh))
        except AlreadyExists:
            return cast(IPAMBlock | None, await self._get(fresh.key))

    async def _confirmed(self, claim: BlockAffinity) -> bool:
        if claim.spec.state == "confirmed":
            return True
        try:
            await self._store.update(_in_state(claim, "confirmed"))
        except (Conflict, NotFound):
            found = cast(BlockAffinity | None, await self._get(claim.key))
            return found is not None and found.spec.state == "confirmed"
        return True

    async def _released(self, claim: BlockAffinity | None, owner: Owner, cidr: Prefix) -> bool:
        try:
            if claim is not None and claim.spec.state != "pendingDeletion":
                going = _in_state(claim, "pendingDeletion")
                claim = cast(BlockAffinity, await self._store.update(going))
            block = await self.block(cidr)
            if block is not None and belongs(block, owner):
                await self._disowned(block)
            if claim is not None:
                await self._store.delete(claim.key, _revision(claim))
        except (Conflict, NotFound):
            return False
        return True

    async def _disowned(self, block: IPAMBlock) -> None:
        if is_empty(block.spec):
            await self._store.delete(block.key, _revision(block))
        else:
            spec = replace(block.spec, affinity=None, affinity_claim_time=None)
            await self._store.update(replace(block, spec=spec))

    async def _dropped(self, claim: BlockAffinity) -> None:
        try:
            await self._store.delete(claim.key, _revision(claim))
        except (Conflict, NotFound):
            return  # whoever changed it meanwhile looks after it

    async def _get(self, key: Key) -> Resource | None:
        try:
            return await self._store.get(key)
        except NotFound:
            return None


def claimant(claim: BlockAffinity) -> Owner:
    """Whose claim it is."""
    return Owner(claim.spec.node, "virtual" if claim.spec.type == "virtual" else "host")


def belongs(block: IPAMBlock, owner: Owner) -> bool:
    """Whether a block is the owner's, to take addresses from."""
    return block.spec.affinity == str(owner) and not block.spec.deleted


def claims_of(owner: Owner, listing: Listing) -> list[BlockAffinity]:
    """The owner's claims among those listed; one whose CIDR is none counts as absent."""
    claims = cast(tuple[BlockAffinity, ...], listing.resources)
    return [claim for claim in claims if _is_of(claim, owner)]


def _is_of(claim: BlockAffinity, owner: Owner) -> bool:
    spec = claim.spec
    if claimant(claim) != owner or spec.deleted:
        return False
    try:
        parse_network(spec.cidr)
    except ValueError:
        return False
    return True


def _typed(claim: BlockAffinity, type_: str) -> BlockAffinity:
    labels = {**claim.metadata.labels, _TYPE_LABEL: type_}
    metadata = replace(claim.metadata, labels=labels)
    return replace(claim, metadata=metadata, spec=replace(claim.spec, type=type_))


def _in_state(claim: BlockAffinity, state: State) -> BlockAffinity:
    return replace(claim, spec=replace(claim.spec, state=state))


def _revision(resource: Resource) -> int:
    return int(resource.metadata.resource_version)
