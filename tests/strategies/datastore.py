"""Resources to store, and the backends that store them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from hypothesis import strategies as st

from tortie.api import GlobalNetworkSet, Key, NetworkSet, NetworkSetSpec, ObjectMeta, Resource
from tortie.datastore import Batch, Datastore, Event
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.sqlite import SqliteDatastore
from tortie.datastore.sqlite.session import History


def network_set(name: str, namespace: str = "default", **labels: str) -> NetworkSet:
    """A small namespaced resource."""
    return NetworkSet(
        metadata=ObjectMeta(name=name, namespace=namespace, labels=labels), spec=NetworkSetSpec()
    )


def global_network_set(name: str, *nets: str, **labels: str) -> GlobalNetworkSet:
    """A small resource of the cluster."""
    return GlobalNetworkSet(
        metadata=ObjectMeta(name=name, labels=labels), spec=NetworkSetSpec(nets=nets)
    )


def names() -> st.SearchStrategy[str]:
    """Few names, so that operations meet."""
    return st.sampled_from(["a", "b", "c"])


def resources() -> st.SearchStrategy[Resource]:
    """Small resources of two kinds."""
    labels = st.dictionaries(st.sampled_from(["app", "tier"]), st.text(max_size=3), max_size=2)
    spaced = st.builds(
        lambda name, namespace, found: network_set(name, namespace, **found),
        names(),
        st.sampled_from(["default", "other"]),
        labels,
    )
    wide = st.builds(lambda name, found: global_network_set(name, **found), names(), labels)
    return st.one_of(spaced, wide)


async def changes_until(
    store: Datastore, kinds: Collection[str], since: int, until: int, seconds: float = 60
) -> list[Event]:
    """The events of a new watch up to revision `until`; fails if they don't come."""
    events: list[Event] = []
    async with asyncio.timeout(seconds):
        async for batch in store.watch(kinds, since):
            events += batch.events
            if batch.revision >= until:
                break
    return events


async def first_batch(watch: AsyncIterator[Batch], seconds: float = 60) -> Batch:
    """The next batch of a watch; fails if it doesn't come."""
    async with asyncio.timeout(seconds):
        return await anext(watch)


class Memory:
    """Stores in memory."""

    async def open(self, history: int = 10_000) -> Datastore:
        return MemoryDatastore(history)

    async def damage(self, store: Datastore, key: Key, value: bytes) -> None:
        assert isinstance(store, MemoryDatastore)
        await store.put_raw(key, value)


class Sqlite:
    """Stores in one file of a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store" / "tortie.db"

    async def open(self, history: int = 10_000) -> Datastore:
        return await SqliteDatastore.open(self.path, History(changes=history))

    async def damage(self, store: Datastore, key: Key, value: bytes) -> None:
        """Another program writes what we can't read, and rings no bell."""
        revision = await store.revision() + 1
        with sqlite3.connect(self.path) as database:
            database.execute("UPDATE state SET revision = ?", (revision,))
            database.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", (revision, *key, value))
            database.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, 'u', 't', ?)",
                (*key, revision, value),
            )
        database.close()


Backend = Memory | Sqlite
