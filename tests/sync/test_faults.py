"""Whatever fails in between, the stream ends equal to the datastore."""

import asyncio
from contextlib import aclosing

from hypothesis import event, given, settings
from hypothesis import strategies as st

from strategies.faults import FaultyStore, cluster_objects, faults
from tortie.api import Key, Resource
from tortie.datastore import AlreadyExists, Datastore, NotFound
from tortie.datastore.memory import MemoryDatastore
from tortie.kubernetes import convert, converted_key
from tortie.sync import Backoff, InSync, Progress, Syncer, Update

KINDS = ("Namespace", "ServiceAccount", "Profile", "WorkloadEndpoint", "Pod")
steps = st.tuples(st.sampled_from(["put", "put", "delete", "damage", "rest"]), cluster_objects())


@settings(max_examples=200, deadline=None)
@given(
    before=st.lists(steps, max_size=8),
    after=st.lists(steps, max_size=25),
    script=faults,
    history=st.sampled_from([1, 3, 1000]),
)
def test_the_stream_ends_equal_to_the_datastore(
    before: list[tuple[str, Resource]],
    after: list[tuple[str, Resource]],
    script: list[str],
    history: int,
) -> None:
    async def body() -> None:
        store = MemoryDatastore(history)
        await _perform(store, before)
        syncer = Syncer(FaultyStore(store, script), KINDS, backoff=_hurried())
        follower = Follower(syncer)
        following = follower.start()
        await _perform(store, after)
        await follower.until(await store.revision())
        assert follower.values == await _expected(store)
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


async def _perform(store: MemoryDatastore, script: list[tuple[str, Resource]]) -> None:
    for what, resource in script:
        try:
            await _do(store, what, resource)
        except NotFound:
            continue


async def _do(store: MemoryDatastore, what: str, resource: Resource) -> None:
    match what:
        case "put":
            try:
                await store.create(resource)
            except AlreadyExists:
                await store.update(resource)
        case "delete":
            await store.delete(resource.key)
        case "damage":
            await store.put_raw(resource.key, b"{")
        case _:
            await asyncio.sleep(0.0001)  # lets the follower come in between


async def _expected(store: Datastore) -> dict[Key, Resource]:
    """What the objects of the store stand for; who stands for itself wins."""
    values: dict[Key, Resource] = {}
    own: dict[Key, Resource] = {}
    for kind in KINDS:
        for resource in (await store.list(kind)).resources:
            value = convert(resource)
            if value is not None:
                key = converted_key(resource.key) or value.key
                (own if key == resource.key else values)[key] = value
    return values | own
