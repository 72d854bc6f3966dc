"""Compaction, leases, watches that go on, and stores that were restored from a copy."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from servers.etcd import EtcdServer
from strategies.datastore import (
    changes_until,
    first_batch,
    first_events,
    network_set,
    revision_of,
)
from strategies.etcd_backend import Raw
from tortie.api import Key, Resource, with_metadata
from tortie.datastore import Deleted, Gone, Invalid, NotFound, Put, Rewound, Unavailable
from tortie.datastore.etcd import EtcdDatastore, connection
from tortie.datastore.settings import EtcdSettings
from tortie.reports import Report, opened_shelf

KINDS = ["NetworkSet"]
Scenario = Callable[[EtcdDatastore], Awaitable[None]]


def run(settings: EtcdSettings, scenario: Scenario) -> None:
    async def body() -> None:
        store = await EtcdDatastore.open(settings)
        try:
            async with asyncio.timeout(60):
                await scenario(store)
        finally:
            await store.close()

    asyncio.run(body())


def test_a_watch_from_the_very_compaction_misses_no_deletion(etcd: EtcdServer) -> None:
    """etcd accepts a watch that begins at the compacted revision, though that deletion is gone."""

    async def scenario(store: EtcdDatastore) -> None:
        made = await store.create(network_set("a"))
        before = revision_of(made)
        await store.delete(made.key)
        await store.compact(before + 1)
        with pytest.raises(Gone):
            await first_batch(store.watch(KINDS, before))
        await store.create(network_set("b"))
        assert len(await changes_until(store, KINDS, before + 1, before + 2)) == 1

    run(etcd.client, scenario)


def test_compacting_twice_is_no_error_and_the_future_cannot_be_compacted(
    etcd: EtcdServer,
) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        made = await store.create(network_set("a"))
        for _ in range(3):
            made = await store.update(made)
        await store.compact(revision_of(made))
        await store.compact(revision_of(made))
        await store.compact(revision_of(made) - 1)
        with pytest.raises(Gone):
            await store.compact(revision_of(made) + 10)
        assert await store.get(made.key) == made

    run(etcd.client, scenario)


def test_pages_whose_snapshot_is_compacted_away_are_gone(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        for number in range(6):
            made = await store.create(network_set(f"a{number}"))
        async with aclosing(store.pages("NetworkSet", size=2)) as pages:
            await anext(pages)
            made = await store.update(made)
            await store.compact(revision_of(made))
            await anext(pages)  # was asked for before the compaction
            with pytest.raises(Gone):
                await anext(pages)

    run(etcd.client, scenario)


def test_a_watch_is_quiet_about_everything_else_in_the_store(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        since = await store.revision()
        raw = Raw(etcd.endpoint)
        raw.put(b"/calico/felix/v2/no-region/host/n1/status", b"{}")
        raw.put(b"/calico/openstack/v1/neutron_election", b"x")
        raw.put(b"/registry/pods/a/b", b"x")
        raw.close()
        made = await store.create(network_set("a"))
        events = await changes_until(store, KINDS, since, revision_of(made))
        assert events == [Put(made.key, made, revision_of(made))]

    run(etcd.client, scenario)


def test_a_watch_goes_on_where_it_was_when_the_server_comes_back(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        first = await store.create(network_set("a"))
        async with aclosing(store.watch(KINDS, revision_of(first))) as watch:
            waiting = asyncio.ensure_future(first_events(watch))
            await asyncio.sleep(0.05)
            etcd.restart()
            second = await store.update(with_metadata(first, labels={"n": "1"}))
            assert await waiting == (Put(second.key, second, revision_of(second)),)

    run(etcd.client, scenario)


def test_a_watch_that_was_quiet_for_long_outlives_a_restart_too(
    etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience counts from the failure, and nobody who listens is no reason to list anew."""
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.2)

    async def scenario(store: EtcdDatastore) -> None:
        first = await store.create(network_set("a"))
        async with aclosing(store.watch(KINDS, revision_of(first))) as watch:
            waiting = asyncio.ensure_future(first_events(watch))
            await asyncio.sleep(0.5)  # much longer than patience lasts
            monkeypatch.setattr(connection, "PATIENCE_SECONDS", 30.0)
            etcd.kill()
            await asyncio.sleep(0.5)  # refused meanwhile
            assert not waiting.done()
            await asyncio.to_thread(etcd.restart)
            second = await store.update(with_metadata(first, labels={"n": "1"}))
            assert await waiting == (Put(second.key, second, revision_of(second)),)

    run(etcd.client, scenario)


def test_a_watch_ends_when_the_server_stays_away(
    etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.5)

    async def scenario(store: EtcdDatastore) -> None:
        first = await store.create(network_set("a"))
        async with aclosing(store.watch(KINDS, revision_of(first) - 1)) as watch:
            await first_events(watch)
            etcd.kill()
            with pytest.raises(Unavailable, match="can't be reached"):
                await first_events(watch)

    run(etcd.client, scenario)


def test_a_dead_member_is_passed_over(etcd: EtcdServer, unheard: int) -> None:
    settings = replace(etcd.client, endpoints=(f"http://127.0.0.1:{unheard}", etcd.endpoint))

    async def scenario(store: EtcdDatastore) -> None:
        made = await store.create(network_set("a"))
        assert await store.get(made.key) == made
        assert len(await changes_until(store, KINDS, 0, revision_of(made))) == 1

    run(settings, scenario)


def test_operations_under_way_end_when_the_store_is_closed(etcd: EtcdServer) -> None:
    async def body() -> None:
        store = await EtcdDatastore.open(etcd.client)
        made = await store.create(network_set("a"))
        with etcd.silent():
            waiting = asyncio.ensure_future(store.get(made.key))
            await asyncio.sleep(0.05)
            await store.close()
            with pytest.raises(Unavailable, match="is closed here"):
                await waiting

    asyncio.run(body())


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 20, 50])
def test_a_watch_ends_with_the_store_however_far_it_had_come(
    shared_etcd: EtcdServer, turns: int
) -> None:
    async def body() -> None:
        store = await EtcdDatastore.open(shared_etcd.client)
        waiting = asyncio.ensure_future(anext(store.watch(KINDS, await store.revision())))
        for _ in range(turns):  # of the event loop: it is not connected yet
            await asyncio.sleep(0)
        await store.close()
        done, _ = await asyncio.wait([waiting], timeout=10)
        assert done
        assert isinstance(waiting.exception(), StopAsyncIteration)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others or [waiting], timeout=5)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(body())


def test_what_is_leased_goes_with_its_lease(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        async with await store.lease(30) as lease:
            made = await lease.create(network_set("a"))
            changed = await store.update(with_metadata(made, labels={"n": "1"}))
            assert await store.get(made.key) == changed
        with pytest.raises(NotFound):  # also after an update, which must keep the lease
            await store.get(made.key)
        events = await changes_until(store, KINDS, 0, await store.revision())
        assert [type(event) for event in events] == [Put, Put, Deleted]

    run(etcd.client, scenario)


def test_a_lease_lasts_longer_than_its_span_while_it_is_held(etcd: EtcdServer) -> None:
    """Longer than another of the same span, which began after it and which nobody renews."""

    async def scenario(store: EtcdDatastore) -> None:
        async with await store.lease(4) as lease:
            made = await lease.create(network_set("a"))
            left = await _left(etcd.client, 4, "b")
            async with aclosing(store.watch(KINDS, revision_of(left))) as watch:
                (event,) = await first_events(watch)
            assert (type(event), event.key) == (Deleted, left.key)
            assert not lease.lost.is_set()
            assert await store.get(made.key) == made

    run(etcd.client, scenario)


def test_a_lease_that_nobody_renews_takes_its_objects_along(etcd: EtcdServer) -> None:
    """As after a kill -9 of its holder."""

    async def scenario(store: EtcdDatastore) -> None:
        left = await _left(etcd.client, 2, "a")
        async with aclosing(store.watch(KINDS, revision_of(left))) as watch:
            (event,) = await first_events(watch)
        assert isinstance(event, Deleted)

    run(etcd.client, scenario)


async def _left(client: EtcdSettings, seconds: int, name: str) -> Resource:
    """What somebody made with a lease, who is no more."""
    holder = await EtcdDatastore.open(client)
    lease = await holder.lease(seconds)
    await lease.__aenter__()
    made = await lease.create(network_set(name))
    assert lease._keeper is not None
    lease._keeper.cancel()
    await holder.close()
    return made


def test_a_lease_that_is_revoked_is_known_to_be_lost(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        async with await store.lease(2) as lease:
            other = await store.lease(2)
            other.number = lease.number
            await other.__aexit__()
            async with asyncio.timeout(20):
                await lease.lost.wait()
            with pytest.raises(Unavailable, match="lease has run out"):
                await lease.create(network_set("a"))

    run(etcd.client, scenario)


def test_another_store_in_place_of_ours_ends_the_watch(etcd: EtcdServer) -> None:
    """Restored from a copy, or made anew: its revisions mean something else."""

    async def scenario(store: EtcdDatastore) -> None:
        for name in "abc":
            made = await store.create(network_set(name))
        since = revision_of(made)
        async with aclosing(store.watch(KINDS, since)) as watch:
            waiting = asyncio.ensure_future(first_events(watch))
            await asyncio.sleep(0.05)
            etcd.kill()
            shutil.rmtree(etcd.folder / "data")
            etcd.cluster_token = "another"
            etcd.restart()
            other = await EtcdDatastore.open(etcd.client)
            for name in "defgh":  # it is past our revision before we look again
                await other.create(network_set(name))
            await other.close()
            with pytest.raises(Gone):
                await waiting

    run(etcd.client, scenario)


def test_a_copy_that_is_put_back_ends_the_watch_though_it_has_passed_us(etcd: EtcdServer) -> None:
    """The same cluster's number, and the same revisions with other objects."""

    async def scenario(store: EtcdDatastore) -> None:
        data, copy = etcd.folder / "data", etcd.folder / "copy"
        etcd.kill()
        shutil.copytree(data, copy)
        etcd.start()
        start = await store.revision()
        async with aclosing(store.watch(KINDS, start)) as watch:
            await store.create(network_set("lost"))
            assert [event.key.name for event in await first_events(watch)] == ["lost"]
            waiting = asyncio.ensure_future(first_events(watch))
            etcd.kill()
            shutil.rmtree(data)
            copy.rename(data)
            etcd.start()
            other = await EtcdDatastore.open(etcd.client)
            for name in "defgh":  # it is past our revision before we look again
                await other.create(network_set(name))
            await other.close()
            with pytest.raises(Rewound):
                await waiting

    run(etcd.client, scenario)


def test_a_large_history_comes_in_whole_batches(etcd: EtcdServer) -> None:
    """Answers of more than 2 MiB come in fragments, which must not be told as complete."""

    async def scenario(store: EtcdDatastore) -> None:
        key = Key("NetworkSet", "default", "a")
        made = await store.create(network_set("a"))
        note = "x" * 500_000
        for number in range(12):
            made = await store.update(with_metadata(made, annotations={"n": f"{number}{note}"}))
        events = await changes_until(store, KINDS, 0, revision_of(made))
        assert len(events) == 13
        assert await store.get(key) == made

    run(etcd.client, scenario)


def test_an_object_that_is_too_large_for_etcd_is_refused_as_such(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        for size in (1_600_000, 3_000_000):  # refused by etcd, and by its gRPC
            huge = with_metadata(network_set("a"), annotations={"n": "x" * size})
            with pytest.raises(Invalid, match="larger than etcd takes"):
                await store.create(huge)

    run(etcd.client, scenario)


def test_a_watch_comes_to_a_milestone_though_others_write_elsewhere(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore) -> None:
        since = await store.revision()
        watching = store.watch(["NetworkSet"], since)
        async with aclosing(watching):
            told = asyncio.ensure_future(anext(watching))
            await elsewhere(etcd)
            last = await store.milestone()
            assert last > since + 1
            batch = await asyncio.wait_for(told, 30)
            while batch.revision < last:
                batch = await asyncio.wait_for(anext(watching), 30)
            assert (batch.revision, batch.events) == (last, ())

    run(etcd.client, scenario)


async def elsewhere(etcd: EtcdServer) -> None:
    """A write that no watch of ours is told of."""
    async with opened_shelf(etcd.client) as shelf:
        await shelf.put(Report(node="a", component="agent").stamped(datetime.now(UTC), 90))
