"""Giving back all that handles hold: several at once, each block written once for all of them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tortie.datastore import DatastoreError
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.datastore.together import Found
from tortie.ipam.errors import IpamError
from tortie.ipam.ground import Ground
from tortie.ipam.handles import own
from tortie.net import Prefix, parse_network


class _Return:
    """One handle: what has been given back of it so far, and why no more."""

    def __init__(self, name: str, found: Found) -> None:
        self.name = name
        self.handle = own(name, found)
        self.freed: list[Prefix] = []
        self.problem: Exception | None = found if isinstance(found, DatastoreError) else None


class Returning:
    """The handles of one datastore that are given back."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def handles(self, names: Sequence[str]) -> list[tuple[Prefix, ...] | Exception]:
        """See `IPAM.release_by_handles`."""
        since, found = await self._ground.giving_back(names)
        returns = [_Return(name, found[name]) for name in names]
        for cidr, those in _by_block(returns).items():
            await self._empty(cidr, those, since)
        await asyncio.gather(*(self._end(one, since) for one in returns))
        return [one.problem or tuple(one.freed) for one in returns]

    async def _empty(self, cidr: Prefix, those: Sequence[_Return], since: str) -> None:
        names = [one.name for one in those]
        try:
            freed = await self._ground.blocks.release_handles(cidr, names, since)
        except Exception as problem:  # told to whom it belongs
            for one in those:
                one.problem = problem
        else:
            for one in those:
                one.freed += freed.get(one.name, ())

    async def _end(self, one: _Return, since: str) -> None:
        """Delete the handle; where it was changed meanwhile, all is looked through again."""
        if one.handle is None or one.problem is not None:
            return
        try:
            if not await self._ground.blocks.handles.deleted(one.handle):
                one.freed += await self._again(one.name, since)
        except Exception as problem:
            one.problem = problem

    async def _again(self, name: str, since: str) -> list[Prefix]:
        blocks = self._ground.blocks
        freed: list[Prefix] = []
        for attempt in range(ATTEMPTS):
            await pause(attempt)
            found = await blocks.handles.get(name)
            if found is None:
                return freed
            for cidr in map(parse_network, found.spec.block):
                freed += (await blocks.release_handles(cidr, [name], since)).get(name, ())
            if await blocks.handles.deleted(found):
                return freed
        raise IpamError(f"handle {name} got new addresses while it was released: retry")


def _by_block(returns: Iterable[_Return]) -> dict[Prefix, list[_Return]]:
    groups: defaultdict[Prefix, list[_Return]] = defaultdict(list)
    for one in returns:
        for text in one.handle.spec.block if one.handle else ():
            groups[parse_network(text)].append(one)
    return groups
