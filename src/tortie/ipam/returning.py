"""Giving back all that handles hold: several at once, each block written once for all of them.

What a handle holds for somebody else, by what the block notes, stays as it is, and so does the
handle for it: two containers may have one name (`holders`).
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tortie.api import IPAMHandle
from tortie.datastore import DatastoreError
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.datastore.together import Found
from tortie.ipam.errors import IpamError
from tortie.ipam.ground import Ground
from tortie.ipam.handles import own
from tortie.ipam.taking import Freed
from tortie.ipam.types import ReturnRequest
from tortie.net import Prefix, parse_network


class _Return:
    """One request: what has been given back for it so far, and why no more."""

    def __init__(self, asked: ReturnRequest, found: Found) -> None:
        self.asked = asked
        self.handle = own(asked.handle, found)
        self.freed: list[Prefix] = []
        self.unlowered = Counter[Prefix]()  # given back, while the handle still tells of them
        self.is_shared = False
        self.problem: Exception | None = found if isinstance(found, DatastoreError) else None

    def blocks(self) -> list[Prefix]:
        """The blocks that the handle tells of. One that is no CIDR is its problem alone."""
        try:
            return list(map(parse_network, self.handle.spec.block)) if self.handle else []
        except ValueError as problem:
            self.problem = IpamError(f"IPAM handle {self.asked.handle}: {problem}: repair it")
            return []

    def take(self, cidr: Prefix, given: Freed) -> None:
        """Note what a block gave back."""
        self.freed += given.addresses
        self.unlowered[cidr] += len(given.addresses)
        self.is_shared = self.is_shared or given.is_shared

    def look_again(self, found: IPAMHandle) -> None:
        """The handle was changed meanwhile: it is this now, and all is to be looked through."""
        self.handle = found
        self.is_shared = False


class Returning:
    """The handles of one datastore that are given back."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def handles(self, asked: Sequence[ReturnRequest]) -> list[tuple[Prefix, ...] | Exception]:
        """See `IPAM.release_by_handles`."""
        since, found = await self._ground.giving_back([one.handle for one in asked])
        returns = [_Return(one, found[one.handle]) for one in asked]
        for cidr, those in _by_block(returns).items():
            await self._empty(cidr, those, since)
        await asyncio.gather(*(self._end(one, since) for one in returns))
        return [one.problem or tuple(one.freed) for one in returns]

    async def _empty(self, cidr: Prefix, those: Sequence[_Return], since: str) -> None:
        try:
            await self._free(cidr, those, since)
        except Exception as problem:  # told to whom it belongs
            for one in those:
                one.problem = problem

    async def _free(self, cidr: Prefix, those: Sequence[_Return], since: str) -> None:
        asked = [one.asked for one in those]
        freed = await self._ground.blocks.release_handles(cidr, asked, since)
        for one, given in zip(those, freed, strict=True):
            one.take(cidr, given)

    async def _end(self, one: _Return, since: str) -> None:
        """Have the handle tell no more of it; where it was changed meanwhile, look again."""
        if one.handle is None or one.problem is not None:
            return
        try:
            if not await self._forgotten(one, one.handle):
                await self._again(one, since)
        except Exception as problem:
            one.problem = problem

    async def _forgotten(self, one: _Return, handle: IPAMHandle) -> bool:
        """A handle under which nobody has anything goes; False where it is not as it was read."""
        if one.is_shared:
            return await self._ground.blocks.handles.lowered(handle, one.unlowered)
        return await self._ground.blocks.handles.deleted(handle)

    async def _again(self, one: _Return, since: str) -> None:
        name = one.asked.handle
        for attempt in range(ATTEMPTS):
            await pause(attempt)
            found = await self._ground.blocks.handles.get(name)
            if found is None:
                return
            one.look_again(found)
            for cidr in map(parse_network, found.spec.block):
                await self._free(cidr, [one], since)
            if await self._forgotten(one, found):
                return
        raise IpamError(f"handle {name} got new addresses while it was released: retry")


def _by_block(returns: Iterable[_Return]) -> dict[Prefix, list[_Return]]:
    groups: defaultdict[Prefix, list[_Return]] = defaultdict(list)
    for one in returns:
        for cidr in one.blocks():
            groups[cidr].append(one)
    return groups
