"""What every backend promises, checked against each."""

import asyncio
from collections.abc import Callable

import pytest

from strategies.datastore import (
    Backend,
    changes_until,
    first_batch,
    global_network_set,
    network_set,
)
from tortie.api import Key, NetworkSet, with_metadata
from tortie.datastore import (
    AlreadyExists,
    Batch,
    Closed,
    Conflict,
    Datastore,
    DatastoreError,
    Deleted,
    Gone,
    Malformed,
    NotFound,
    Put,
    update_with,
)
from tortie.datastore.memory import MemoryDatastore

Check = Callable[..., None]
KINDS = ("NetworkSet", "GlobalNetworkSet")


def test_a_created_object_has_an_identity_and_a_revision(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a", app="x"))
        assert made.metadata.uid
        assert made.metadata.creation_timestamp
        assert int(made.metadata.resource_version) == await store.revision()
        assert made.metadata.labels == {"app": "x"}
        assert await store.get(made.key) == made

    check(scenario)


def test_a_store_keeps_its_identity_and_no_other_has_it(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        before = await store.identity()
        await store.create(network_set("a"))
        assert await store.identity() == before
        assert await MemoryDatastore().identity() != before

    check(scenario)


def test_what_is_there_cannot_be_created_again(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        with pytest.raises(AlreadyExists, match=r"NetworkSet\(default/a\)"):
            await store.create(network_set("a", app="y"))
        assert await store.get(made.key) == made

    check(scenario)


def test_what_is_not_there_is_named(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        missing = Key("NetworkSet", "default", "a")
        for attempt in (store.get(missing), store.delete(missing), store.update(network_set("a"))):
            with pytest.raises(NotFound, match=r"NetworkSet\(default/a\)"):
                await attempt

    check(scenario)


def test_an_object_without_a_name_is_refused(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        with pytest.raises(DatastoreError, match=r"metadata\.name"):
            await store.create(network_set(""))
        assert await store.revision() == 0

    check(scenario)


def test_an_update_keeps_the_identity_and_raises_the_revision(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        changed = await store.update(with_metadata(made, labels={"app": "y"}))
        assert changed.metadata.uid == made.metadata.uid
        assert changed.metadata.creation_timestamp == made.metadata.creation_timestamp
        assert int(changed.metadata.resource_version) > int(made.metadata.resource_version)
        assert await store.get(made.key) == changed

    check(scenario)


def test_an_update_of_what_moved_on_is_a_conflict(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        changed = await store.update(with_metadata(made, labels={"app": "y"}))
        with pytest.raises(Conflict):
            await store.update(with_metadata(made, labels={"app": "z"}))
        assert await store.get(made.key) == changed

    check(scenario)


def test_an_update_without_a_revision_is_unconditional(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        await store.update(with_metadata(made, labels={"app": "y"}))
        last = await store.update(network_set("a", app="z"))
        assert last.metadata.labels == {"app": "z"}
        assert last.metadata.uid == made.metadata.uid

    check(scenario)


def test_an_update_meant_for_an_earlier_object_of_that_name_is_a_conflict(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        first = await store.create(network_set("a"))
        await store.delete(first.key)
        second = await store.create(network_set("a"))
        with pytest.raises(Conflict, match="created anew"):
            await store.update(with_metadata(first, resource_version=""))
        assert await store.get(first.key) == second

    check(scenario)


def test_a_revision_that_no_store_gave_is_a_conflict(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        await store.create(network_set("a"))
        with pytest.raises(Conflict, match="'latest'"):
            await store.update(with_metadata(network_set("a"), resource_version="latest"))

    check(scenario)


def test_a_deleted_object_is_returned_and_gone(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        before = await store.revision()
        assert await store.delete(made.key) == made
        assert await store.revision() > before
        with pytest.raises(NotFound):
            await store.get(made.key)

    check(scenario)


def test_a_delete_of_what_moved_on_is_a_conflict(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        changed = await store.update(with_metadata(made, labels={"app": "y"}))
        with pytest.raises(Conflict):
            await store.delete(made.key, int(made.metadata.resource_version))
        assert await store.get(made.key) == changed
        await store.delete(made.key, int(changed.metadata.resource_version))

    check(scenario)


def test_a_list_is_sorted_and_of_one_kind(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        for namespace, name in (("b", "x"), ("a", "y"), ("a", "x")):
            await store.create(network_set(name, namespace))
        await store.create(global_network_set("x"))
        listing = await store.list("NetworkSet")
        assert [(item.metadata.namespace, item.metadata.name) for item in listing.resources] == [
            ("a", "x"),
            ("a", "y"),
            ("b", "x"),
        ]
        assert listing.revision == await store.revision() == 4
        assert [item.metadata.name for item in (await store.list("NetworkSet", "a")).resources] == [
            "x",
            "y",
        ]
        assert (await store.list("Tier")).resources == ()

    check(scenario)


def test_values_may_be_large_and_in_any_script(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        large = "Шилдпатт-鼈甲-🐈" * (1 << 16)
        made = await store.create(with_metadata(network_set("a"), annotations={"note": large}))
        assert (await store.get(made.key)).metadata.annotations["note"] == large
        (event,) = await changes_until(store, KINDS, 0, 1)
        assert event == Put(made.key, made, 1)

    check(scenario)


def test_a_malformed_object_stands_apart_and_hides_nothing(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        key = Key("NetworkSet", "default", "bad")
        await store.create(network_set("a"))
        await backend.damage(store, key, b'{"metadata": {"name": "bad", "namespace": 7}}')
        await store.create(network_set("c"))
        listing = await store.list("NetworkSet")
        assert [item.metadata.name for item in listing.resources] == ["a", "c"]
        (bad,) = listing.malformed
        assert (bad.key, bad.revision) == (key, 2)
        assert "namespace" in bad.reason
        events = await changes_until(store, KINDS, 0, 3)
        assert [type(event) for event in events] == [Put, Malformed, Put]
        with pytest.raises(DatastoreError, match="can't be read"):
            await store.get(key)

    check(scenario)


def test_a_malformed_object_can_be_replaced_and_deleted(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        key = Key("NetworkSet", "default", "bad")
        await backend.damage(store, key, b"no JSON")
        await store.update(network_set("bad"))
        assert (await store.get(key)).metadata.name == "bad"
        await backend.damage(store, key, b"no JSON")
        assert await store.delete(key) is None
        assert (await store.list("NetworkSet")).malformed == ()

    check(scenario)


def test_an_object_that_claims_another_name_is_malformed(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        key = Key("NetworkSet", "default", "a")
        await backend.damage(store, key, b'{"metadata": {"name": "b"}, "spec": {}}')
        (bad,) = (await store.list("NetworkSet")).malformed
        assert "NetworkSet(b)" in bad.reason

    check(scenario)


def test_a_watch_tells_every_change_in_order(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        first = await store.create(network_set("a"))
        second = await store.update(with_metadata(first, labels={"app": "y"}))
        await store.delete(first.key)
        third = await store.create(network_set("a"))
        assert await changes_until(store, KINDS, 0, 4) == [
            Put(first.key, first, 1),
            Put(first.key, second, 2),
            Deleted(first.key, 3),
            Put(first.key, third, 4),
        ]
        assert await changes_until(store, KINDS, 3, 4) == [Put(first.key, third, 4)]

    check(scenario)


def test_a_watch_waits_for_what_comes(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        watch = store.watch(KINDS, 0)
        waiting = asyncio.ensure_future(first_batch(watch))
        await asyncio.sleep(0)
        made = await store.create(network_set("a"))
        assert (await waiting).events == (Put(made.key, made, 1),)
        waiting = asyncio.ensure_future(first_batch(watch))
        await asyncio.sleep(0)
        await store.delete(made.key)
        assert (await waiting).events == (Deleted(made.key, 2),)

    check(scenario)


def test_a_watch_of_other_kinds_only_moves_on(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        await store.create(network_set("a"))
        assert await first_batch(store.watch(["Tier"], 0)) == Batch((), 1)

    check(scenario)


def test_a_long_history_comes_whole(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        for _ in range(2_100):
            made = await store.update(made)
        events = await changes_until(store, KINDS, 0, 2_101)
        assert [event.revision for event in events] == list(range(1, 2_102))

    check(scenario)


@pytest.mark.parametrize("since", [1, 10_000])
def test_a_watch_outside_the_history_is_gone(check: Check, since: int) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        for _ in range(600):
            made = await store.update(made)
        with pytest.raises(Gone):
            await first_batch(store.watch(KINDS, since))
        assert len(await changes_until(store, KINDS, 591, 601)) == 10

    check(scenario, history=10)


def test_a_watch_that_falls_behind_is_gone(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        watch = store.watch(KINDS, 0)
        assert (await first_batch(watch)).revision == 1
        for _ in range(600):
            made = await store.update(made)
        with pytest.raises(Gone):
            await first_batch(watch)

    check(scenario, history=10)


def test_a_cancelled_watch_leaves_the_store_working(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        watch = asyncio.ensure_future(first_batch(store.watch(KINDS, 0)))
        await asyncio.sleep(0.01)
        watch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch
        await store.create(network_set("a"))
        assert len(await changes_until(store, KINDS, 0, 1)) == 1

    check(scenario)


def test_a_closed_store_ends_watches_and_says_so(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        watch = asyncio.ensure_future(first_batch(store.watch(KINDS, 0)))
        await asyncio.sleep(0.01)
        await store.close()
        with pytest.raises(StopAsyncIteration):
            await watch
        with pytest.raises(Closed, match="closed"):
            await store.get(Key("NetworkSet", "default", "a"))

    check(scenario)


def test_concurrent_changes_of_one_object_all_count(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a", n="0"))

        async def add_often() -> None:
            for _ in range(20):
                await update_with(store, made.key, _one_more)

        await asyncio.gather(*(add_often() for _ in range(8)))
        assert (await store.get(made.key)).metadata.labels == {"n": "160"}
        events = await changes_until(store, KINDS, 0, 161)
        assert [event.revision for event in events] == list(range(1, 162))

    check(scenario)


def test_update_with_writes_nothing_where_nothing_is_to_change(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        assert await update_with(store, made.key, lambda _: None) == made
        assert await store.revision() == 1

    check(scenario)


def _one_more(resource: NetworkSet) -> NetworkSet:
    return with_metadata(resource, labels={"n": str(int(resource.metadata.labels["n"]) + 1)})
