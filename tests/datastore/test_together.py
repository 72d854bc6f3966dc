"""Several reads as one give what each alone would."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from servers.etcd import EtcdServer
from servers.kube import KubeServer
from strategies.ipam import configuration, pool
from tortie.api import IPAMConfiguration, Key
from tortie.datastore import Datastore, DatastoreError, Unavailable, open_datastore
from tortie.datastore.cluster import CLUSTER
from tortie.datastore.etcd import requests
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.layout import paths_of
from tortie.datastore.etcd.members import TXN
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.settings import DatastoreSettings, EtcdSettings, SqliteSettings
from tortie.datastore.together import read_together
from tortie.ipam.names import CONFIGURATION

GONE = Key("IPPool", "", "gone")


async def story(store: Datastore) -> None:
    empty = await read_together(store, ("IPPool", "IPReservation"), (CONFIGURATION,))
    assert empty.lists == {"IPPool": (), "IPReservation": ()}
    assert empty.objects == {CONFIGURATION: None}
    for name in ("b", "a"):
        await store.create(pool(name, f"10.{ord(name)}.0.0/24"))
    await store.create(configuration(strict_affinity=True))
    found = await read_together(store, ("IPPool",), (CONFIGURATION, GONE, CLUSTER))
    assert found.lists["IPPool"] == (await store.list("IPPool")).resources
    assert found.objects[CONFIGURATION] == await store.get(CONFIGURATION)
    assert isinstance(found.objects[CONFIGURATION], IPAMConfiguration)
    assert found.objects[GONE] is None


async def opened(settings: DatastoreSettings, work: Callable[[Datastore], Awaitable[None]]) -> None:
    store = await open_datastore(settings)
    try:
        await work(store)
    finally:
        await store.close()


def test_in_memory() -> None:
    asyncio.run(story(MemoryDatastore()))


def test_on_sqlite(tmp_path: Path) -> None:
    asyncio.run(opened(SqliteSettings(path=str(tmp_path / "tortie.db")), story))


def test_on_etcd(etcd: EtcdServer) -> None:
    asyncio.run(opened(EtcdSettings(endpoints=(etcd.endpoint,)), story))


def test_on_a_kube_apiserver(kube: KubeServer) -> None:
    asyncio.run(opened(kube.client(), story))


def test_one_that_cannot_be_read_is_told_and_the_others_are_there() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.put_raw(CONFIGURATION, b"{")
        await store.create(pool("a", "10.0.0.0/24"))
        found = await read_together(store, ("IPPool",), (CONFIGURATION,))
        assert isinstance(found.objects[CONFIGURATION], DatastoreError)
        assert len(found.lists["IPPool"]) == 1

    asyncio.run(body())


def test_one_that_cannot_be_read_is_told_by_etcd_too(etcd: EtcdServer) -> None:
    async def work(store: Datastore) -> None:
        connection = Connection(EtcdSettings(endpoints=(etcd.endpoint,)))
        (path,) = paths_of(CONFIGURATION)
        await connection.ask(TXN, requests.create(path, b"{"), "put")
        await connection.close()
        found = await read_together(store, ("IPPool",), (CONFIGURATION,))
        assert isinstance(found.objects[CONFIGURATION], DatastoreError)

    asyncio.run(opened(EtcdSettings(endpoints=(etcd.endpoint,)), work))


def test_one_that_cannot_be_read_is_told_by_sqlite_too(tmp_path: Path) -> None:
    path = tmp_path / "tortie.db"

    async def work(store: Datastore) -> None:
        await store.create(configuration(strict_affinity=True))
        await store.create(pool("a", "10.0.0.0/24"))
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE objects SET value = '{' WHERE kind = 'IPAMConfiguration'")
        found = await read_together(store, ("IPPool",), (CONFIGURATION,))
        assert isinstance(found.objects[CONFIGURATION], DatastoreError)
        assert len(found.lists["IPPool"]) == 1

    asyncio.run(opened(SqliteSettings(path=str(path)), work))


def test_an_outage_is_raised() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.close()
        with pytest.raises(Unavailable):
            await read_together(store, (), (CONFIGURATION,))

    asyncio.run(body())
