"""Resources to store, the backends that store them, and what to ask of their watches."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import strategies as st

from tortie.api import GlobalNetworkSet, Key, NetworkSet, NetworkSetSpec, ObjectMeta, Resource
from tortie.datastore import Batch, Datastore, Event
from tortie.datastore.kubernetes import KubernetesDatastore
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.sqlite import SqliteDatastore

NAMESPACES = ("default", "other", "a", "ab", "b")
"""What the contract's tests use: a backend whose server wants them to exist makes them."""


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
    """The events of a new watch up to revision `until`; fails if they don't come.

    Of one kind, the event of that revision ends it too: what a watch has told of other kinds may
    come late. `until` may therefore be what a write of one of several kinds returned only where
    the store orders them among each other. Kubernetes' API proves no revision but an event's: there
    `until` is one that an event is to have.
    """
    events: list[Event] = []
    watch = store.watch(kinds, since)
    proves = not isinstance(store, KubernetesDatastore)
    async with asyncio.timeout(seconds):
        async for batch in watch:
            events += batch.events
            told = (event.revision for event in batch.events)
            if max(told, default=0) >= until or (proves and batch.revision >= until):
                break
    await watch.aclose()
    return events


async def first_batch(watch: AsyncIterator[Batch], seconds: float = 60) -> Batch:
    """The next batch of a watch; fails if it doesn't come."""
    async with asyncio.timeout(seconds):
        return await anext(watch)


async def first_events(watch: AsyncIterator[Batch], seconds: float = 60) -> tuple[Event, ...]:
    """The events of the next batch that has some; fails if it doesn't come."""
    async with asyncio.timeout(seconds):
        async for batch in watch:
            if batch.events:
                return batch.events
    raise AssertionError("the watch ended")


def revision_of(resource: Resource) -> int:
    """The revision of the write that returned it."""
    return int(resource.metadata.resource_version)


class Ability(Enum):
    """What a test may need of a store and not every store can be brought to."""

    RAW_BYTES = "store bytes that are no JSON"
    RAW_OBJECTS = "store JSON that is no object of its kind"
    UNKNOWN_FIELDS = "store fields that we don't know"
    FALSE_NAMES = "store an object under the name of another"
    COMPACTION = "forget its history when told"
    SEVERAL_OBJECTS = "have several store objects on one store"
    ORDER_ACROSS_KINDS = "tell changes of several kinds in one order"
    QUIET_PROGRESS = "say that it went on in kinds that were not asked for"


class Backend(Protocol):
    """One kind of store, with one store that is fresh for each test."""

    cannot: Mapping[Ability, str]
    """What this kind can't, each with the reason, which the skipped test shows."""

    async def open(self) -> Datastore:
        """A store object on the test's store; who opens it closes it."""
        ...

    async def damage(self, store: Datastore, key: Key, value: bytes) -> None:
        """Put bytes under a key as another program would, whatever they are."""
        ...

    async def stored(self, store: Datastore, key: Key) -> bytes:
        """The JSON that is stored under a key."""
        ...

    async def compact(self, store: Datastore) -> None:
        """Make every revision before the present one `Gone`."""
        ...


class Memory:
    """Stores in memory."""

    cannot: Mapping[Ability, str] = {
        Ability.SEVERAL_OBJECTS: "a store in memory lives in one object"
    }

    async def open(self) -> Datastore:
        return MemoryDatastore()

    async def damage(self, store: Datastore, key: Key, value: bytes) -> None:
        assert isinstance(store, MemoryDatastore)
        await store.put_raw(key, value)

    async def stored(self, store: Datastore, key: Key) -> bytes:
        assert isinstance(store, MemoryDatastore)
        return await store.raw(key)

    async def compact(self, store: Datastore) -> None:
        assert isinstance(store, MemoryDatastore)
        await store.compact()


class Sqlite:
    """Stores in one file of a temporary folder, into which `sqlite3` looks as another program."""

    cannot: Mapping[Ability, str] = {}

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store" / "tortie.db"

    async def open(self) -> Datastore:
        return await SqliteDatastore.open(self.path)

    async def damage(self, store: Datastore, key: Key, value: bytes) -> None:
        """Rings no bell, as a writer that was killed after its commit."""
        revision = await store.revision() + 1
        with self._looking() as database:
            database.execute("UPDATE state SET revision = ?", (revision,))
            database.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", (revision, *key, value))
            database.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, 'u', 't', ?)",
                (*key, revision, value),
            )

    async def stored(self, store: Datastore, key: Key) -> bytes:  # noqa: ARG002 - the protocol's
        with self._looking() as database:
            query = "SELECT value FROM objects WHERE (kind, namespace, name) = (?, ?, ?)"
            value: bytes = database.execute(query, key).fetchone()[0]
            return value

    async def compact(self, store: Datastore) -> None:  # noqa: ARG002 - the protocol's
        with self._looking() as database:
            database.execute("DELETE FROM changes")
            database.execute("UPDATE state SET compacted = revision")

    @contextmanager
    def _looking(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path)) as database, database:
            yield database


Opening = Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Backend]]
"""Gives a backend for one test, from pytest's fixtures and the test's folder.

It is found by the name `backend` in a module of `_SERVERS`. Where its server can't be had it calls
`pytest.skip` with a line that says why.
"""

_SERVERS = {"etcd": "strategies.etcd_backend", "kubernetes": "strategies.kube_backend"}
BACKENDS = ("memory", "sqlite", *(name for name in _SERVERS if find_spec(_SERVERS[name])))


@contextmanager
def backend_named(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Backend]:
    """The backend of that name, for one test."""
    if name in _SERVERS:
        opening: Opening = import_module(_SERVERS[name]).backend
        with opening(request, folder) as found:
            yield found
    else:
        yield Memory() if name == "memory" else Sqlite(folder)
