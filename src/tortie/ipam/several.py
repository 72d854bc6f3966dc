"""Several requests as one: one picture, and one write of a block for all that take from it.

A node that starts asks for all its pods' addresses in one moment. Alone, each request would write
the same block once more, and wait for its turn. Each stands for itself nonetheless: its handle is
raised before the block is written, and one that fails does not fail the others. Where the write
finds that somebody else was quicker, the handles are lowered and the first request goes alone: it
reads the block again.
"""

from collections.abc import Sequence
from contextlib import suppress

from tortie.datastore import DatastoreError
from tortie.ipam.affinities import belongs
from tortie.ipam.assigning import Assigning
from tortie.ipam.ground import Ground, Picture
from tortie.ipam.handles import own
from tortie.ipam.releasing import Releasing
from tortie.ipam.search import Ask, choice, is_within
from tortie.ipam.taking import Want
from tortie.ipam.terms import Terms
from tortie.ipam.types import Assignment, AssignRequest, ReleaseRequest
from tortie.net import Prefix

_VERSIONS = (4, 6)


class _Errand:
    """One of the requests: what it has been given so far, and why it gets no more.

    `held` of `taken` it had before: who asked for it died between the IP versions, or asks again.
    """

    def __init__(self, request: AssignRequest) -> None:
        self.request = request
        self.taken: list[Prefix] = []
        self.held = 0
        self.problem: Exception | None = None

    def keep(self, held: Sequence[Prefix]) -> None:
        """Note what its handle holds already."""
        self.taken += held
        self.held = len(held)

    def lacks(self, version: int) -> bool:
        """Whether addresses of this IP version are asked for, and it has none."""
        return self.request.count(version) > 0 and all(one.version != version for one in self.taken)

    def take(self, given: tuple[Prefix, ...] | Exception) -> None:
        """Note what a block gave."""
        if isinstance(given, Exception):
            self.problem = given
        else:
            self.taken += given


class _Wish:
    """What an errand wants of one IP version."""

    def __init__(self, errand: _Errand, ask: Ask) -> None:
        self.errand = errand
        self.ask = ask
        self._end = len(errand.taken) + ask.number

    @property
    def is_open(self) -> bool:
        """Whether it neither has all nor failed."""
        return self.errand.problem is None and len(self.errand.taken) < self._end


class Several:
    """Assignments to several handles of one datastore."""

    def __init__(self, ground: Ground, assigning: Assigning, releasing: Releasing) -> None:
        self._ground = ground
        self._assigning = assigning
        self._releasing = releasing

    async def lease(self, requests: Sequence[AssignRequest]) -> list[Assignment | Exception]:
        """See `IPAM.lease`."""
        picture = await self._ground.picture([one.handle for one in requests])
        errands = list(map(_Errand, requests))
        for one in errands:
            await self._look(one, picture)
        for version in _VERSIONS:
            await self._serve(await self._wishes(version, errands, picture), picture.terms)
        for one in errands:
            await self._let_go(one)
        return [one.problem or Assignment(_ordered(one.taken)) for one in errands]

    async def _look(self, errand: _Errand, picture: Picture) -> None:
        """Where its handle holds addresses already, these are what it gets."""
        found = picture.handles[errand.request.handle]
        try:
            if isinstance(found, DatastoreError):
                raise found
            if handle := own(errand.request.handle, found):
                errand.keep(await self._ground.kept(handle, errand.request.attributes))
        except Exception as problem:  # told to whom it belongs
            errand.problem = problem

    async def _wishes(
        self, version: int, errands: Sequence[_Errand], picture: Picture
    ) -> list[_Wish]:
        wishes = []
        for one in errands:
            if one.problem is not None or not one.lacks(version):
                continue
            try:
                ask = await self._assigning.ask(one.request, version, picture.pools, picture.terms)
            except Exception as problem:
                one.problem = problem
            else:
                wishes.append(_Wish(one, ask))
        return wishes

    async def _serve(self, wishes: Sequence[_Wish], terms: Terms) -> None:
        """What can be is shared; else the first goes alone, and knows a block afterwards."""
        while wishes:
            await self._share(wishes, terms)
            wishes = [one for one in wishes if one.is_open]
            if wishes:
                await self._alone(wishes[0], terms)
                wishes = wishes[1:]

    async def _share(self, wishes: Sequence[_Wish], terms: Terms) -> None:
        """Take from the blocks that are known, each written once."""
        for cidr, known in list(self._ground.blocks.last.items()):
            fitting = [
                one
                for one in wishes
                if one.is_open
                and one.ask.number == 1
                and belongs(known, one.ask.owner)
                and is_within(cidr, one.ask.ranges)
            ]
            if len(fitting) > 1:  # one alone is better off alone: it goes on where this block ends
                wants = [
                    Want(one.ask.by, choice(one.ask, terms, 1), one.ask.most) for one in fitting
                ]
                given = await self._ground.blocks.take_each(cidr, known, wants)
                for one, what in zip(fitting, given, strict=True):
                    one.errand.take(what)

    async def _alone(self, wish: _Wish, terms: Terms) -> None:
        try:
            await self._ground.search.find(wish.ask, terms, wish.errand.taken)
        except Exception as problem:
            wish.errand.problem = problem

    async def _let_go(self, errand: _Errand) -> None:
        """All that is new, or nothing; of what can't be given back now, the handle tells."""
        new = errand.taken[errand.held :]
        if errand.problem is not None and new:
            handle = errand.request.handle
            back = [ReleaseRequest(address=one, handle=handle) for one in new]
            with suppress(DatastoreError):
                await self._releasing.let_go(back, "")


def _ordered(taken: Sequence[Prefix]) -> tuple[Prefix, ...]:
    """IPv4 first."""
    return tuple(sorted(taken, key=lambda one: one.version))
