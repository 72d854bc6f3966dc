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


@settings(max_examples=25, deadline=None)
@given(st.lists(operations, max_size=25))
def test_etcd_answers_as_memory_does(shared_etcd: Any, script: list[tuple[str, Resource]]) -> None:
    """On one server for all scripts: what an earlier one left is deleted first."""
    from tortie.datastore.etcd import EtcdDatastore

    async def body() -> None:
        memory, etcd = MemoryDatastore(), await EtcdDatastore.open(shared_etcd.client)
        try:
            for kind in ("NetworkSet", "GlobalNetworkSet"):
                for found in (await etcd.list(kind)).resources:
                    await etcd.delete(found.key)
            assert await _story(memory, script) == await _story(etcd, script)
        finally:
            await etcd.close()

    asyncio.run(body())


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
    base = await store.revision()
    told = [await _answer(_do(store, what, resource, base), base) for what, resource in script]
    for kind in ("NetworkSet", "GlobalNetworkSet"):
        listing = await store.list(kind)
        told.append(([_plain(item, base) for item in listing.resources], listing.revision - base))
    revision = await store.revision()
    if revision > base:
        events = await changes_until(store, ["NetworkSet"], base, revision)
        told += [
            (
                event.revision - base,
                event.key,
                _plain(event.resource, base) if isinstance(event, Put) else None,
            )
            for event in events
        ]
    return told


async def _answer(attempt: Awaitable[Any], base: int) -> object:
    try:
        return _plain(await attempt, base)
    except DatastoreError as error:
        return type(error)


async def _do(store: Datastore, what: str, resource: Resource, base: int) -> Any:
    match what:
        case "create":
            return await store.create(resource)
        case "update":
            return await store.update(resource)
        case "update stale":
            return await store.update(with_metadata(resource, resource_version=str(base + 1)))
        case "delete":
            return await store.delete(resource.key)
        case _:
            return await store.get(resource.key)


def _plain(resource: Resource | None, base: int) -> Resource | None:
    """What does not differ by chance: uids, times and the revision at which a script begins do."""
    if resource is None:
        return None
    revision = str(int(resource.metadata.resource_version) - base)
    return with_metadata(resource, uid="", creation_timestamp=None, resource_version=revision)
