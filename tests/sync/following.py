"""Who follows a stream in tests, and what it must have in the end."""

import asyncio
from collections import defaultdict
from contextlib import aclosing

from tortie.api import Key, Resource
from tortie.datastore import Datastore
from tortie.kubernetes import conversion, converted_key
from tortie.sync import InSync, Progress, Syncer, Update

Good = defaultdict[Key, list[tuple[Key, Resource]]]
"""Stored object -> what it ever stood for."""


class Follower:
    """Folds a stream as an agent would, checking what must hold at each step."""

    def __init__(self, syncer: Syncer) -> None:
        self.values: dict[Key, Resource] = {}
        self.in_syncs = 0
        self._syncer = syncer
        self._reached = -1
        self._moved = asyncio.Event()

    def start(self) -> asyncio.Task[None]:
        self._task = asyncio.get_running_loop().create_task(self._follow())
        self._task.add_done_callback(lambda _: self._moved.set())
        return self._task

    async def _follow(self) -> None:
        async with aclosing(self._syncer.stream()) as batches:
            async for batch in batches:
                for item in batch:
                    self._fold(item)
                self._moved.set()

    def _fold(self, item: Update | InSync | Progress) -> None:
        match item:
            case Update(key, None):
                self.values.pop(key, None)  # it may have come and gone in one batch
            case Update(key, value) if value is not None:
                self.values[key] = value
            case InSync():
                self.in_syncs += 1
            case Progress(revision):
                assert self.in_syncs == 1
                assert revision >= self._reached
                self._reached = revision

    async def until(self, revision: int, bound: float = 60) -> None:
        async with asyncio.timeout(bound):
            while self._reached < revision:
                self._moved.clear()
                await self._moved.wait()
                if self._task.done():
                    self._task.result()


def stands_for(resource: Resource) -> list[tuple[Key, Resource]]:
    values = conversion(resource).values
    return [(converted_key(resource.key) or value.key, value) for value in values]


async def compare(
    values: dict[Key, Resource], store: Datastore, kinds: tuple[str, ...], good: Good
) -> None:
    """What the objects of the store stand for; who stands for itself wins.

    A damaged object may stand for any good value that it had, or for nothing: that depends on
    which of them the follower came to see.
    """
    others: dict[Key, Resource] = {}
    own: dict[Key, Resource] = {}
    possible: defaultdict[Key, list[Resource]] = defaultdict(list)
    derived: frozenset[str] = getattr(store, "derived", frozenset())
    for kind in kinds:
        if kind in derived:
            continue  # their sources are followed
        listing = await store.list(kind)
        for resource in listing.resources:
            for key, value in stands_for(resource):
                (own if key == resource.key else others)[key] = value
        for damaged in listing.malformed:
            for key, value in good[damaged.key]:
                possible[key].append(value)
    expected = others | own
    for key in values.keys() | expected.keys():
        if key in possible:
            assert values.get(key) in [*possible[key], expected.get(key), others.get(key)]
        else:
            assert values.get(key) == expected.get(key)
