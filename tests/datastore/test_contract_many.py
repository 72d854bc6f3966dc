"""What every backend promises where many do things at once, or stop half way."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from datastore.conftest import Check
from strategies.datastore import (
    Ability,
    Backend,
    changes_until,
    first_events,
    network_set,
    revision_of,
)
from tortie.api import Key, NetworkSet, with_metadata
from tortie.datastore import (
    AlreadyExists,
    Conflict,
    Datastore,
    Deleted,
    NotFound,
    Put,
    update_with,
)

KINDS = ("NetworkSet",)
KEY = Key("NetworkSet", "default", "a")


@asynccontextmanager
async def others(backend: Backend, store: Datastore, count: int) -> AsyncIterator[list[Datastore]]:
    """`count` store objects on one store; the one store object where there can't be more."""
    if Ability.SEVERAL_OBJECTS in backend.cannot:
        yield [store] * count
        return
    opened = [await backend.open() for _ in range(count)]
    try:
        yield opened
    finally:
        for each in opened:
            await each.close()


def test_concurrent_changes_of_one_object_all_count(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a", n="0"))

        async def add_often(writer: Datastore) -> None:
            for _ in range(10):
                await update_with(writer, KEY, _one_more)

        async with others(backend, store, 4) as writers:
            await asyncio.gather(*(add_often(writer) for writer in writers * 2))
        last = await store.get(KEY)
        assert last.metadata.labels == {"n": "80"}
        events = await changes_until(store, KINDS, revision_of(made), revision_of(last))
        told = [event.resource.metadata.labels["n"] for event in events if isinstance(event, Put)]
        assert told == [str(number) for number in range(1, 81)]

    check(scenario)


def test_of_those_who_create_one_object_one_succeeds(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        async def attempt(writer: Datastore, name: str, mark: str) -> str:
            try:
                await writer.create(network_set(name, mark=mark))
            except AlreadyExists:
                return ""
            return mark

        async with others(backend, store, 4) as writers:
            for number in range(10):
                name = f"n{number}"
                done = await asyncio.gather(
                    *(attempt(writer, name, f"w{w}") for w, writer in enumerate(writers))
                )
                (winner,) = filter(None, done)
                found = await store.get(Key("NetworkSet", "default", name))
                assert found.metadata.labels == {"mark": winner}

    check(scenario)


def test_writers_and_watchers_at_once_lose_and_double_nothing(
    check: Check, backend: Backend
) -> None:
    """Each write that was acknowledged is told, in its order, to each watcher, once."""

    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        written: dict[int, Key] = {}

        async def write(writer: Datastore, number: int) -> None:
            for turn in range(15):
                made = await writer.create(network_set(f"w{number}-{turn % 3}"))
                written[revision_of(made)] = made.key
                made = await writer.update(with_metadata(made, labels={"turn": str(turn)}))
                written[revision_of(made)] = made.key
                await writer.delete(made.key, revision_of(made))

        async def watch(watcher: Datastore) -> list[tuple[int, Key, bool]]:
            told: list[tuple[int, Key, bool]] = []
            async for batch in watcher.watch(KINDS, start):
                told += [(e.revision, e.key, isinstance(e, Deleted)) for e in batch.events]
                if any(event.key.name == "end" for event in batch.events):
                    break
            return told

        async with others(backend, store, 4) as stores:
            watching = [asyncio.ensure_future(watch(each)) for each in stores]
            await asyncio.gather(*(write(each, number) for number, each in enumerate(stores)))
            end = await store.create(network_set("end"))
            stories = await asyncio.gather(*watching)
        for told in stories:
            assert told == stories[0]
        (story, *_) = stories
        revisions = [revision for revision, _, _ in story]
        assert revisions == sorted(set(revisions))
        puts = {revision: key for revision, key, deleted in story if not deleted}
        assert puts == {**written, revision_of(end): end.key}
        gone = Counter(key for _, key, deleted in story if deleted)
        assert gone == dict.fromkeys(set(written.values()), 5)

    check(scenario)


def test_a_deletion_and_an_update_at_once_are_one_after_the_other(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        for _ in range(20):
            made = await store.create(network_set("a"))
            update, delete = await asyncio.gather(
                store.update(with_metadata(made, labels={"app": "y"})),
                store.delete(KEY, revision_of(made)),
                return_exceptions=True,
            )
            if isinstance(update, BaseException):
                assert isinstance(update, NotFound | Conflict)
                assert delete == made
            else:
                assert isinstance(delete, Conflict)
                assert await store.get(KEY) == update
                await store.delete(KEY)

    check(scenario)


OPERATIONS: dict[str, Callable[[Datastore], Coroutine[Any, Any, Any]]] = {
    "create": lambda store: store.create(network_set("new")),
    "get": lambda store: store.get(KEY),
    "list": lambda store: store.list("NetworkSet"),
    "pages": lambda store: _read_pages(store),
    "update": lambda store: store.update(network_set("a", app="z")),
    "delete": lambda store: store.delete(KEY),
    "revision": lambda store: store.revision(),
    "identity": lambda store: store.identity(),
    "watch": lambda store: _watch_all(store),
}
MOMENTS = [*range(8), *(step / 4000 for step in range(1, 12))]
"""When to cancel: after so many turns of the loop; after fractions of a second."""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_can_be_cancelled_at_any_moment(check: Check, operation: str) -> None:
    """It was done or not; the store works on, and what it tells is what it holds."""

    async def scenario(store: Datastore) -> None:
        for moment in MOMENTS:
            await _clean(store)
            start = await store.revision()
            await store.create(network_set("a"))
            await _cancelled(OPERATIONS[operation](store), moment)
            await _agreed(store, start)

    check(scenario)


def test_cancelled_operations_and_watches_leave_no_files_open(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        await store.create(network_set("a"))
        counts = []
        for _ in range(5):
            for moment in (0, 1, 3, 0.0005, 0.002, 0.01):
                for operation in OPERATIONS.values():
                    await _cancelled(operation(store), moment)
            await _clean(store)
            await store.create(network_set("a"))
            counts.append(len(os.listdir("/proc/self/fd")))
        # Some connections may be kept to be used again; one left behind by each is 200 more.
        assert counts[-1] <= counts[0] + 60

    check(scenario)


def test_watches_that_were_cancelled_disturb_no_other(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        kept = store.watch(KINDS, start)
        waiting = asyncio.ensure_future(first_events(kept))
        for moment in MOMENTS:
            await _cancelled(_watch_all(store), moment)
        made = await store.create(network_set("a"))
        assert await waiting == (Put(made.key, made, revision_of(made)),)
        await kept.aclose()

    check(scenario)


async def _agreed(store: Datastore, start: int) -> None:
    """What a watch told is what is listed, once a cancelled write is no more on its way."""
    mark = await store.create(network_set("mark"))
    for _ in range(20):
        mark = await store.update(mark)
        events = await changes_until(store, KINDS, start, revision_of(mark))
        assert len({event.revision for event in events}) == len(events)
        folded = {event.key: event.resource for event in events if isinstance(event, Put)}
        last = {event.key: isinstance(event, Put) for event in events}
        told = {key: resource for key, resource in folded.items() if last[key]}
        listed = {item.key: item for item in (await store.list("NetworkSet")).resources}
        if told == listed:
            return
    assert told == listed


async def _cancelled(work: Coroutine[Any, Any, Any], moment: float) -> None:
    task = asyncio.ensure_future(work)
    if isinstance(moment, int):
        for _ in range(moment):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(moment)
    task.cancel()
    await asyncio.wait([task], timeout=30)
    assert task.done()
    if not task.cancelled() and (error := task.exception()):
        assert isinstance(error, AlreadyExists | NotFound | Conflict)


async def _read_pages(store: Datastore) -> None:
    async for _ in store.pages("NetworkSet", size=1):
        await asyncio.sleep(0)


async def _watch_all(store: Datastore) -> None:
    async for _ in store.watch(KINDS, await store.revision()):
        await asyncio.sleep(0)


async def _clean(store: Datastore) -> None:
    """Without what the last turn left; a cancelled write may still be on its way."""
    for name in ("a", "new", "mark"):
        try:
            await store.delete(Key("NetworkSet", "default", name))
        except NotFound:
            continue


def _one_more(resource: NetworkSet) -> NetworkSet:
    return with_metadata(resource, labels={"n": str(int(resource.metadata.labels["n"]) + 1)})
