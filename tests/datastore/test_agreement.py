"""Whatever is done to them, all backends answer alike."""

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.datastore import changes_until, network_set, resources
from tortie.api import Resource, with_metadata
from tortie.datastore import Datastore, DatastoreError, Put
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.sqlite import SqliteDatastore

operations = st.tuples(
    st.sampled_from(["create", "update", "update stale", "delete", "get"]), resources()
)


@settings(max_examples=40, deadline=None)
@given(st.lists(operations, max_size=25))
def test_backends_answer_alike(script: list[tuple[str, Resource]]) -> None:
    async def body(folder: str) -> None:
        memory, sqlite = MemoryDatastore(), await SqliteDatastore.open(Path(folder) / "db")
        try:
            assert await _story(memory, script) == await _story(sqlite, script)
        finally:
            await sqlite.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(body(folder))


@pytest.mark.parametrize("name", ["memory", "sqlite"])
def test_a_history_longer_than_a_batch_comes_whole(name: str, tmp_path: Path) -> None:
    async def body() -> None:
        store = (
            MemoryDatastore() if name == "memory" else await SqliteDatastore.open(tmp_path / "d")
        )
        made = await store.create(network_set("a"))
        for _ in range(2_100):
            made = await store.update(made)
        events = await changes_until(store, ["NetworkSet"], 0, 2_101)
        assert [event.revision for event in events] == list(range(1, 2_102))
        await store.close()

    asyncio.run(body())


async def _story(store: Datastore, script: list[tuple[str, Resource]]) -> list[object]:
    told: list[object] = [await _answer(_do(store, what, resource)) for what, resource in script]
    for kind in ("NetworkSet", "GlobalNetworkSet"):
        listing = await store.list(kind)
        told.append(([_plain(item) for item in listing.resources], listing.revision))
    revision = await store.revision()
    if revision:
        events = await changes_until(store, ["NetworkSet"], 0, revision)
        told += [
            (event.revision, event.key, _plain(event.resource) if isinstance(event, Put) else None)
            for event in events
        ]
    return told


async def _answer(attempt: Awaitable[Any]) -> object:
    try:
        return _plain(await attempt)
    except DatastoreError as error:
        return type(error)


async def _do(store: Datastore, what: str, resource: Resource) -> Any:
    match what:
        case "create":
            return await store.create(resource)
        case "update":
            return await store.update(resource)
        case "update stale":
            return await store.update(with_metadata(resource, resource_version="1"))
        case "delete":
            return await store.delete(resource.key)
        case _:
            return await store.get(resource.key)


def _plain(resource: Resource | None) -> Resource | None:
    """What does not differ by chance: uids and times do."""
    return resource and with_metadata(resource, uid="", creation_timestamp=None)
