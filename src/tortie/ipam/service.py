"""The door of address management: assign, release, look up."""

from collections.abc import Callable, Iterable, Sequence

from tortie.api import IPAMHandle
from tortie.datastore import Datastore
from tortie.datastore.cluster import refuse_locked
from tortie.ipam.assigning import Assigning
from tortie.ipam.ground import Gate, Ground, now
from tortie.ipam.holders import ANYBODY, About
from tortie.ipam.names import Owner
from tortie.ipam.owning import Owning
from tortie.ipam.releasing import Releasing
from tortie.ipam.returning import Returning
from tortie.ipam.several import Several
from tortie.ipam.types import (
    Assignment,
    AssignRequest,
    FixedRequest,
    Owners,
    OwnersChange,
    ReleaseRequest,
    ReturnRequest,
)
from tortie.net import Prefix, parse_network

TOGETHER = 32
"""How many handles may be asked for together: etcd takes 128 requests in one."""


class IPAM:
    """Addresses out of the pools of one datastore. All methods raise IpamError, DatastoreError.

    Calls for different handles may run at once, in any number of processes. For one handle, the
    caller lets them follow one another: whoever releases a handle while an assignment to it runs
    may take back what was just given.

    While the datastore is locked, nothing is given or taken back: Locked, a DatastoreError.
    """

    def __init__(
        self, store: Datastore, clock: Callable[[], str] = now, gate: Gate = refuse_locked
    ) -> None:
        """`gate` raises where nothing may be given or taken back now."""
        self._ground = Ground(store, clock, gate)
        self._releasing = Releasing(self._ground)
        self._assigning = Assigning(self._ground, self._releasing)
        self._several = Several(self._ground, self._assigning, self._releasing)
        self._returning = Returning(self._ground)
        self._owning = Owning(self._ground)

    async def auto_assign(self, request: AssignRequest) -> Assignment:
        """Addresses of the pools that fit: all that were asked for, or none and an error.

        Raises NoPool, Exhausted, HandleFull. After DatastoreError, `release_by_handle` gives back
        what may have been taken.
        """
        return await self._assigning.auto(request)

    async def lease(self, requests: Sequence[AssignRequest]) -> list[Assignment | Exception]:
        """For each request what its handle holds already, else what `auto_assign` would give it; of
        an IP version of which the handle holds nothing, likewise.

        The handles are different ones, at most `TOGETHER`. One that holds what another of the node
        has by its attributes is HandleTaken. What is the same for all is asked of the
        datastore once. A request that fails does not fail the others: its error is its answer.
        """
        return await self._several.lease(requests)

    async def assign_fixed(self, request: FixedRequest) -> Assignment:
        """This very address. One that the handle has already is given again.

        Raises NoPool where no pool has it, AlreadyAssigned where another has it, Exhausted
        where it is of another node's block and affinity is strict.
        """
        return await self._assigning.fixed(request)

    async def addresses_of(self, handle: str, by: About = ANYBODY) -> tuple[Prefix, ...]:
        """What a handle holds, each a /32 or /128, IPv4 first; nothing noted as another's."""
        found = await self._ground.blocks.handles.get(handle)
        return () if found is None else await self._ground.held(found, by)

    async def kept(self, handle: str, by: About) -> tuple[Prefix, ...]:
        """The same for who wants addresses under it. Raises HandleTaken: another has some."""
        found = await self._ground.blocks.handles.get(handle)
        return () if found is None else await self._ground.kept(found, by)

    async def blocks_of(self, handle: str) -> tuple[Prefix, ...]:
        """The blocks in which a handle holds addresses."""
        found = await self._ground.blocks.handles.get(handle)
        return () if found is None else tuple(map(parse_network, found.spec.block))

    async def owners_of(self, handle: str) -> dict[Prefix, Owners]:
        """Who has each address of a handle."""
        return await self._owning.of(handle)

    async def set_owners(self, change: OwnersChange) -> None:
        """Change who has an address, all at once. Raises OwnerChanged where it is not as expected.

        The handle keeps the address: this is how it moves with a VM from one pod to the next.
        """
        await self._owning.change(change)

    async def release_by_handle(self, handle: str) -> tuple[Prefix, ...]:
        """Give back all that a handle holds; returns it. A handle that holds nothing is fine."""
        (freed,) = await self._returning.handles((ReturnRequest(handle=handle),))
        if isinstance(freed, Exception):
            raise freed
        return freed

    async def release_by_handles(
        self, handles: Sequence[str | ReturnRequest]
    ) -> list[tuple[Prefix, ...] | Exception]:
        """The same for several, at most `TOGETHER`, in one write of each block. One that fails does
        not fail the others: its error is its answer. What is another's than the request's stays.
        """
        asked = [ReturnRequest(handle=one) if isinstance(one, str) else one for one in handles]
        return await self._returning.handles(asked)

    async def release(self, addresses: Iterable[Prefix | ReleaseRequest]) -> tuple[Prefix, ...]:
        """Give back addresses; returns those that were held. Free ones are fine."""
        return await self._releasing.addresses(addresses)

    async def forget_handle(self, found: IPAMHandle) -> bool:
        """Delete a handle that holds nothing and is still as it was read; whether that was so.

        Its blocks are changed first: an assignment that raised the handle and has not written its
        block yet fails, instead of leaving an address that nobody tells of.
        """
        return await self._releasing.forget_handle(found)

    async def release_cooled(self) -> None:
        """Have what has cooled down free, and blocks gone that nobody has or uses any more."""
        await self._releasing.cooled()

    async def release_node(self, node: str) -> None:
        """Give up all blocks of a node that is gone. Addresses in use stay with their handles."""
        await self._releasing.node(node)

    async def release_block(self, owner: str | Owner, cidr: Prefix) -> bool:
        """Give up one block of a node (or another owner) if nobody uses it; whether that was so."""
        wanted = owner if isinstance(owner, Owner) else Owner(owner)
        return await self._releasing.block(wanted, cidr)

    async def release_pool(self, pool: Prefix, others: tuple[Prefix, ...] = ()) -> None:
        """Give up all nodes' blocks of a pool, but those that `others` have as well.

        Addresses in use stay with their handles.
        """
        await self._releasing.pool(pool, others)

    async def ensure_block(self, request: AssignRequest) -> Prefix:
        """A block that is the node's, of the pools that fit the request; claimed if there is none.

        For dataplanes that must know their subnet beforehand. Raises NoPool, Exhausted.
        """
        return await self._assigning.block(request)

    async def upgrade_node(self, node: str) -> None:
        """Write a node's claims anew that an older release wrote without what others select by."""
        await self._ground.check()
        await self._ground.affinities.upgrade(Owner(node))
