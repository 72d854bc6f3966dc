"""What a lock holds up: exports need it, agents that start wait, addresses stay as they are."""

import asyncio
import io

import pytest

from strategies.migrations import RELEASE, Silent, cluster, exported, fill
from tortie.api import GlobalNetworkPolicy, IPPool, IPPoolSpec, Key, ObjectMeta
from tortie.datastore import Conflict, DatastoreError
from tortie.datastore.cluster import Locked
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.migrate.exporting import export
from tortie.datastore.migrate.locking import NotLocked, is_locked, lock, unlock
from tortie.ipam import IPAM, AssignRequest
from tortie.sync import Backoff, InSync, Syncer


def test_a_lock_is_set_once_and_taken_away_once():
    async def run():
        store = MemoryDatastore()
        assert not await unlock(store)
        assert await lock(store, RELEASE)
        assert not await lock(store, RELEASE)
        assert await is_locked(store)
        assert await unlock(store)
        assert not await unlock(store)
        assert not await is_locked(store)

    asyncio.run(run())


def test_many_may_lock_at_once():
    async def run():
        store = MemoryDatastore()
        done = await asyncio.gather(*(lock(store, RELEASE) for _ in range(8)))
        assert done.count(True) >= 1
        assert await is_locked(store)

    asyncio.run(run())


def test_only_a_locked_store_is_exported():
    async def run():
        store = MemoryDatastore()
        with pytest.raises(NotLocked, match="migrate lock"):
            await exported(store)

    asyncio.run(run())


class _Writing(Silent):
    """Somebody writes while the export looks."""

    def __init__(self, write):
        self._write = write
        self.tasks = []

    def begin(self, what, total):  # noqa: ARG002
        if what.startswith("looking"):
            coroutine = self._write()
            with pytest.raises(StopIteration):
                coroutine.send(None)


@pytest.mark.parametrize("change", ["create", "update", "delete", "replace"])
def test_a_change_during_an_export_is_noticed(change):
    async def run():
        store = MemoryDatastore()
        await fill(store, cluster())
        key = Key("GlobalNetworkPolicy", "", "security.p1")

        async def write():
            found = await store.get(key)
            if change == "create":
                await store.create(
                    GlobalNetworkPolicy(metadata=ObjectMeta(name="n"), spec=found.spec)
                )
            elif change == "update":
                await store.update(found)
            else:
                await store.delete(key)
            if change == "replace":
                await store.create(
                    GlobalNetworkPolicy(metadata=ObjectMeta(name=key.name), spec=found.spec)
                )

        file = io.BytesIO()
        with pytest.raises(Conflict, match="changed while it was exported: GlobalNetworkPolicy"):
            await export(store, file, RELEASE, _Writing(write))
        assert b"DatastoreExportEnd" not in file.getvalue()

    asyncio.run(run())


def test_what_can_t_be_read_is_not_left_out():
    async def run():
        store = MemoryDatastore()
        await fill(store, cluster())
        await store.put_raw(Key("GlobalNetworkPolicy", "", "broken"), b"{")
        with pytest.raises(DatastoreError, match=r"GlobalNetworkPolicy\(broken\) can't be read"):
            await exported(store)

    asyncio.run(run())


def test_no_address_is_given_or_taken_back_while_locked():
    async def run():
        store = MemoryDatastore()
        spec = IPPoolSpec(cidr="10.0.0.0/24", block_size=26)
        await store.create(IPPool(metadata=ObjectMeta(name="p"), spec=spec))
        ipam = IPAM(store)
        await ipam.auto_assign(AssignRequest(node="n1", handle="a"))
        await lock(store, RELEASE)
        before = await store.revision()
        for work in (
            lambda: ipam.auto_assign(AssignRequest(node="n1", handle="b")),
            lambda: ipam.release_by_handle("a"),
            lambda: ipam.release_node("n1"),
        ):
            with pytest.raises(Locked, match="being migrated"):
                await work()
        assert await store.revision() == before
        assert len(await ipam.addresses_of("a")) == 1
        await unlock(store)
        assert await ipam.release_by_handle("a")

    asyncio.run(run())


def test_a_stream_that_starts_waits_and_says_so_one_that_runs_goes_on():
    async def run():
        store = MemoryDatastore()
        await fill(store, cluster())
        waits, unlocked = asyncio.Event(), asyncio.Event()

        async def pause(_seconds):
            waits.set()
            await unlocked.wait()

        waiting = Syncer(store, backoff=Backoff(pause), admit=lambda _: None)
        items = []

        async def follow():
            async for batch in waiting.stream():
                items.extend(batch)
                if any(isinstance(item, InSync) for item in items):
                    return

        task = asyncio.create_task(follow())
        async with asyncio.timeout(20):
            await waits.wait()
            assert waiting.outage is not None
            assert "locked" in waiting.outage.reason
            assert not items
            await unlock(store)
            unlocked.set()
            await task
        assert items
        running = Syncer(store, admit=lambda _: None)
        stream = running.stream()
        async with asyncio.timeout(20):
            while not running.in_sync:
                await anext(stream)
            await lock(store, RELEASE)
            await anext(stream)
        assert running.outage is None
        await stream.aclose()

    asyncio.run(run())
