"""Taking addresses from a block, and giving them back: compare and swap around the algebra."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from tortie.api import AllocationAttribute, IPAMBlock, IPAMBlockSpec
from tortie.datastore import Conflict, Datastore, NotFound
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.ipam import block as algebra
from tortie.ipam.affinities import Affinities
from tortie.ipam.handles import Handles
from tortie.ipam.types import ReleaseRequest
from tortie.net import Prefix, parse_network


class Blocks:
    """The addresses of one datastore's blocks. `last` is each block as this process wrote it.

    A block is read before the handle is raised and written after. So a release that finds the
    handle but not yet the address changes the block, and the write fails instead of leaving an
    address that no handle tells of.
    """

    def __init__(self, store: Datastore, affinities: Affinities) -> None:
        self._store = store
        self._affinities = affinities
        self.handles = Handles(store)
        self.last: dict[Prefix, IPAMBlock] = {}

    async def take(
        self,
        cidr: Prefix,
        found: IPAMBlock | None,
        by: AllocationAttribute,
        choose: Callable[[IPAMBlockSpec], algebra.Taken],
        most: int = 0,
    ) -> tuple[Prefix, ...]:
        """The addresses that `choose` takes, once they are written; none where it takes none.

        `found` is the block as last seen: if that is out of date the write fails, and it is read.
        Raises HandleFull where the handle would have more than `most` of the IP version.
        """
        handle = by.handle_id or ""
        for attempt in range(ATTEMPTS):
            current = found or await self._affinities.block(cidr)
            if current is None:
                return ()
            taken = choose(current.spec)
            if not taken.addresses:
                self.last.pop(cidr, None)
                return ()
            await self.handles.add(handle, cidr, len(taken.addresses), most)
            if await self.write(current, taken.block):
                return taken.addresses
            await self.handles.remove(handle, cidr, len(taken.addresses))
            await pause(attempt)
            found = None
        raise _contended(cidr)

    async def release(
        self, cidr: Prefix, requests: Sequence[ReleaseRequest], cooling_since: str = ""
    ) -> tuple[Prefix, ...]:
        """Give back addresses of one block; returns those that were held as the requests say."""
        for attempt in range(ATTEMPTS):
            current = await self._affinities.block(cidr)
            if current is None:
                return ()
            freed = algebra.release(current.spec, requests, cooling_since)
            if not freed.addresses:  # decided on what is read now: nothing is written
                return ()
            if await self._write_back(current, freed.block):
                await self._lower(current.spec, cidr, freed.addresses)
                return freed.addresses
            await pause(attempt)
        raise _contended(cidr)

    async def release_handle(
        self, cidr: Prefix, handle: str, cooling_since: str = ""
    ) -> tuple[Prefix, ...]:
        """Give back what a handle holds of one block. The handle itself stays as it is."""
        for attempt in range(ATTEMPTS):
            # What was written last is tried first: if it is out of date, so is the write.
            known = self.last.get(cidr) if not attempt else None
            current = known or await self._affinities.block(cidr)
            if current is None:
                return ()
            # This changes the block in any case.
            freed = algebra.release_handle(current.spec, handle, cooling_since)
            if await self._write_back(current, freed.block):
                return freed.addresses
            await pause(attempt)
        raise _contended(cidr)

    async def is_without(self, cidr: Prefix, handle: str) -> bool:
        """Whether a block holds nothing for a handle. It is changed, so that none that is about to
        write it from what it read before can make that untrue.
        """
        current = await self._affinities.block(cidr)
        if current is None:
            return True
        if algebra.held_by(current.spec, handle):
            return False
        return await self.write(current, algebra.touched(current.spec))

    async def rewrite(self, cidr: Prefix, change: Callable[[IPAMBlockSpec], IPAMBlockSpec]) -> None:
        """Write a block as `change` makes it of what is there, if that is another."""
        for attempt in range(ATTEMPTS):
            current = await self._affinities.block(cidr)
            if current is None or (spec := change(current.spec)) == current.spec:
                return
            if await self._write_back(current, spec):
                return
            await pause(attempt)
        raise _contended(cidr)

    async def _lower(self, before: IPAMBlockSpec, cidr: Prefix, freed: Sequence[Prefix]) -> None:
        holders = [algebra.holder_of(before, address) for address in freed]
        handles = [found.handle_id for found in holders if found and found.handle_id]
        for handle in sorted(set(handles)):
            await self.handles.remove(handle, cidr, handles.count(handle))

    async def _write_back(self, current: IPAMBlock, spec: IPAMBlockSpec) -> bool:
        """As `write`; a block that is empty now and nobody's goes altogether."""
        if spec.affinity is not None or not algebra.is_empty(spec):
            return await self.write(current, spec)
        self.last.pop(parse_network(spec.cidr), None)
        try:
            await self._store.delete(current.key, int(current.metadata.resource_version))
        except (Conflict, NotFound):
            return False
        return True

    async def write(self, current: IPAMBlock, spec: IPAMBlockSpec) -> bool:
        """Write a block if it still is as it was read; whether that was so."""
        cidr = parse_network(spec.cidr)
        self.last.pop(cidr, None)  # whatever happens now, what was known is out of date
        try:
            written = await self._store.update(replace(current, spec=spec))
        except (Conflict, NotFound):
            return False
        assert isinstance(written, IPAMBlock)
        self.last[cidr] = written
        return True


def _contended(cidr: Prefix) -> Conflict:
    return Conflict(f"IPAM block {cidr} changed under {ATTEMPTS} attempts to write it: retry")
