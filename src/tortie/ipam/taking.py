"""Taking addresses from a block, and giving them back: compare and swap around the algebra."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tortie.api import AllocationAttribute, IPAMBlock, IPAMBlockSpec
from tortie.datastore import Conflict, Datastore, DatastoreError, NotFound
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.ipam import block as algebra
from tortie.ipam.affinities import Affinities
from tortie.ipam.handles import Handles
from tortie.ipam.types import ReleaseRequest, ReturnRequest
from tortie.net import Prefix, parse_network

Choose = Callable[[IPAMBlockSpec], algebra.Taken]
"""What to take of a block, as it is found."""


class Want(NamedTuple):
    """One address of a block for a handle, which may have at most `most` (0: any number)."""

    by: AllocationAttribute
    choose: Choose
    most: int = 0


class Freed(NamedTuple):
    """What a block gave back for a handle; `is_shared`: it still holds others' for it."""

    addresses: tuple[Prefix, ...] = ()
    is_shared: bool = False


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
        choose: Choose,
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

    async def take_each(
        self, cidr: Prefix, found: IPAMBlock, wants: Sequence[Want]
    ) -> list[tuple[Prefix, ...] | Exception]:
        """One address for each, in one write of the block; an error is its own only.

        Nobody has any where the block is not as it was found, or is full.
        """
        given: list[tuple[Prefix, ...] | Exception] = [()] * len(wants)
        able = [place for place, one in enumerate(_chosen(found.spec, wants)[1]) if one]
        if not able:
            self.last.pop(cidr, None)
        raised = await _each(self._raised(wants[place], cidr) for place in able)
        for place, problem in zip(able, raised, strict=True):
            given[place] = problem or ()
        able = [place for place in able if given[place] == ()]
        spec, addresses = _chosen(found.spec, [wants[place] for place in able])
        try:
            if able and await self.write(found, spec):
                given_now: Sequence[tuple[Prefix, ...] | Exception] = addresses
            else:
                lowered = await _each(self._lowered(wants[place], cidr) for place in able)
                given_now = [problem or () for problem in lowered]
        except DatastoreError as problem:  # it may have been written: the handles tell of it
            given_now = [problem] * len(able)
        for place, what in zip(able, given_now, strict=True):
            given[place] = what
        return given

    async def _raised(self, want: Want, cidr: Prefix) -> None:
        await self.handles.add(want.by.handle_id or "", cidr, 1, want.most)

    async def _lowered(self, want: Want, cidr: Prefix) -> None:
        await self.handles.remove(want.by.handle_id or "", cidr, 1)

    async def release_handles(
        self, cidr: Prefix, asked: Sequence[ReturnRequest], cooling_since: str = ""
    ) -> list[Freed]:
        """Give back what handles hold of one block, in one write. The handles stay as they are."""
        for attempt in range(ATTEMPTS):
            # What was written last is tried first: if it is out of date, so is the write.
            known = self.last.get(cidr) if not attempt else None
            current = known or await self._affinities.block(cidr)
            if current is None:
                return [Freed()] * len(asked)
            spec, freed = current.spec, []
            for one in asked:
                # This changes the block in any case.
                spec, addresses = algebra.release_handle(spec, one.handle, cooling_since, one.by)
                freed.append(Freed(addresses, bool(algebra.held_by(spec, one.handle))))
            if await self._write_back(current, spec):
                return freed
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


def _chosen(
    spec: IPAMBlockSpec, wants: Iterable[Want]
) -> tuple[IPAMBlockSpec, list[tuple[Prefix, ...]]]:
    """The block once each has chosen after the other, and what they chose."""
    addresses = []
    for want in wants:
        spec, chosen = want.choose(spec)
        addresses.append(chosen)
    return spec, addresses


async def _each(works: Iterable[Awaitable[None]]) -> list[Exception | None]:
    """Do them at once, each to its end; the error of each."""
    ends = await asyncio.gather(*works, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, Exception):
            raise end
    return [end if isinstance(end, Exception) else None for end in ends]


def _contended(cidr: Prefix) -> Conflict:
    return Conflict(f"IPAM block {cidr} changed under {ATTEMPTS} attempts to write it: retry")
