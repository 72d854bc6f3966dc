"""Whatever fails in between, the stream ends equal to the datastore."""

import asyncio
from collections import defaultdict
from contextlib import aclosing

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from strategies.faults import FaultyStore, cluster_objects, faults, network_objects
from tortie.api import Key, Resource
from tortie.datastore import AlreadyExists, Datastore, NotFound
from tortie.datastore.memory import MemoryDatastore
from tortie.kubernetes import convert, converted_key
from tortie.sync import (
    BGP_KINDS,
    FELIX_KINDS,
    TUNNEL_KINDS,
    Backoff,
    InSync,
    Progress,
    Syncer,
    Update,
)

steps = st.tuples(
    st.sampled_from(["put", "put", "put", "delete", "damage", "jump", "rest"]),
    st.one_of(cluster_objects(), network_objects()),
)
Good = defaultdict[Key, list[tuple[Key, Resource]]]  # source -> what it ever stood for


@pytest.mark.parametrize(
    "kinds", [FELIX_KINDS, BGP_KINDS, TUNNEL_KINDS], ids=["felix", "bgp", "ip"]
)
@settings(max_examples=200, deadline=None)
@given(
    before=st.lists(steps, max_size=8),
    after=st.lists(steps, max_size=25),
    script=faults,
    history=st.sampled_from([1, 3, 1000]),
)
def test_the_stream_ends_equal_to_the_datastore(
    kinds: tuple[str, ...],
    before: list[tuple[str, Resource]],
    after: list[tuple[str, Resource]],
    script: list[str],
    history: int,
) -> None:
    async def body() -> None:
        store, good = MemoryDatastore(history), Good(list)
        await _perform(store, before, good)
        syncer = Syncer(FaultyStore(store, script), kinds, backoff=_hurried())
        follower = Follower(syncer)
        following = follower.start()
        await _perform(store, after, good)
        await follower.until(await store.revision())
        await _compare(follower.values, store, kinds, good)
        assert follower.in_syncs == 1
        await store.close()
        await following

    asyncio.run(body())
    event(f"faults: {sum(map(bool, script)) > 0}, history: {history}")


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

    async def until(self, revision: int) -> None:
        async with asyncio.timeout(10):
            while self._reached < revision:
                self._moved.clear()
                await self._moved.wait()
                if self._task.done():
                    self._task.result()


def _hurried() -> Backoff:
    return Backoff(sleep=lambda _: asyncio.sleep(0))


async def _perform(store: MemoryDatastore, script: list[tuple[str, Resource]], good: Good) -> None:
    for what, resource in script:
        try:
            await _do(store, what, resource, good)
        except NotFound:
            continue


async def _do(store: MemoryDatastore, what: str, resource: Resource, good: Good) -> None:
    match what:
        case "put":
            try:
                made = await store.create(resource)
            except AlreadyExists:
                made = await store.update(resource)
            good[made.key] += _stands_for(made)
        case "delete":
            await store.delete(resource.key)
        case "damage":
            await store.put_raw(resource.key, b"{")
        case "jump":  # others write to the same store, in kinds that nobody follows
            await store.put_raw(Key("IPAMHandle", "", "other"), b"{")
        case _:
            await asyncio.sleep(0.0001)  # lets the follower come in between


def _stands_for(resource: Resource) -> list[tuple[Key, Resource]]:
    value = convert(resource)
    return [] if value is None else [(converted_key(resource.key) or value.key, value)]


async def _compare(
    values: dict[Key, Resource], store: Datastore, kinds: tuple[str, ...], good: Good
) -> None:
    """What the objects of the store stand for; who stands for itself wins.

    A damaged object may stand for any good value that it had, or for nothing: that depends on
    which of them the follower came to see.
    """
    others: dict[Key, Resource] = {}
    own: dict[Key, Resource] = {}
    possible: defaultdict[Key, list[Resource]] = defaultdict(list)
    for kind in kinds:
        listing = await store.list(kind)
        for resource in listing.resources:
            for key, value in _stands_for(resource):
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
