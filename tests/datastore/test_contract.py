"""What every backend promises of objects, checked against each.

What is promised of revisions is that they rise with each write, not by how much: other kinds and
other users share a store. What is promised of watches, pages and many at once stands beside.
"""

import asyncio
import json

import pytest

from datastore.conftest import Check
from strategies.datastore import (
    Ability,
    Backend,
    changes_until,
    global_network_set,
    network_set,
    revision_of,
)
from tortie.api import Key, with_metadata
from tortie.datastore import (
    AlreadyExists,
    Closed,
    Conflict,
    Datastore,
    DatastoreError,
    Malformed,
    NotFound,
    Put,
    update_with,
)
from tortie.datastore.memory import MemoryDatastore

KINDS = ("NetworkSet",)


def test_a_created_object_has_an_identity_and_a_revision(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a", app="x"))
        assert made.metadata.uid
        assert made.metadata.creation_timestamp
        assert revision_of(made) <= await store.revision()
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
        assert (await store.list("NetworkSet")).resources == ()

    check(scenario)


def test_an_update_keeps_the_identity_and_raises_the_revision(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        changed = await store.update(with_metadata(made, labels={"app": "y"}))
        assert changed.metadata.uid == made.metadata.uid
        assert changed.metadata.creation_timestamp == made.metadata.creation_timestamp
        assert revision_of(changed) > revision_of(made)
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
            await store.delete(made.key, revision_of(made))
        assert await store.get(made.key) == changed
        await store.delete(made.key, revision_of(changed))

    check(scenario)


def test_a_list_is_sorted_and_of_one_kind(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        for namespace, name in (("b", "x"), ("a", "y"), ("a", "x")):
            await store.create(network_set(name, namespace))
        last = await store.create(global_network_set("x"))
        listing = await store.list("NetworkSet")
        assert [(item.metadata.namespace, item.metadata.name) for item in listing.resources] == [
            ("a", "x"),
            ("a", "y"),
            ("b", "x"),
        ]
        assert listing.revision >= revision_of(last)
        assert [item.metadata.name for item in (await store.list("NetworkSet", "a")).resources] == [
            "x",
            "y",
        ]
        assert (await store.list("Tier")).resources == ()

    check(scenario)


def test_a_list_of_a_namespace_has_nothing_of_those_whose_names_begin_alike(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        for namespace, name in (("a", "b"), ("a", "b.c"), ("ab", "b"), ("a", "b-c")):
            await store.create(network_set(name, namespace))
        found = (await store.list("NetworkSet", "a")).resources
        assert [item.metadata.name for item in found] == ["b", "b-c", "b.c"]
        await store.delete(Key("NetworkSet", "a", "b"))
        assert len((await store.list("NetworkSet")).resources) == 3

    check(scenario)


def test_what_was_written_is_listed_at_once(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        for number in range(20):
            made = await store.create(global_network_set(f"n{number}"))
            listing = await store.list("GlobalNetworkSet")
            assert made in listing.resources
            assert listing.revision >= revision_of(made)
            await store.delete(made.key)
            assert (await store.list("GlobalNetworkSet")).resources == ()

    check(scenario)


def test_values_may_be_in_any_script(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        note = "Шилдпатт-鼈甲-🐈-\x7f\u2028" * 1000
        made = await store.create(with_metadata(network_set("a"), annotations={"note": note}))
        assert (await store.get(made.key)).metadata.annotations["note"] == note
        assert (await store.list("NetworkSet")).resources == (made,)
        assert await changes_until(store, KINDS, revision_of(made) - 1, revision_of(made)) == [
            Put(made.key, made, revision_of(made))
        ]

    check(scenario)


def test_values_may_have_a_mebibyte(check: Check) -> None:
    nets = tuple(f"{10 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.0/24" for n in range(70_000))

    async def scenario(store: Datastore) -> None:
        made = await store.create(global_network_set("a", *nets))
        assert made.spec.nets == nets
        changed = await store.update(with_metadata(made, labels={"app": "y"}))
        assert await store.get(made.key) == changed
        assert (await store.list("GlobalNetworkSet")).resources == (changed,)
        (event,) = await changes_until(
            store, ["GlobalNetworkSet"], revision_of(made), revision_of(changed)
        )
        assert event == Put(made.key, changed, revision_of(changed))

    assert len("".join(f'"{net}",' for net in nets)) > 1 << 20
    check(scenario)


def test_unknown_fields_are_kept_by_a_rewrite(check: Check, backend: Backend) -> None:
    body = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "NetworkSet",
        "metadata": {"name": "a", "namespace": "default", "novel": {"x": None}},
        "spec": {"nets": ["10.0.0.0/8"], "futureNets": ["example.org"]},
        "future": 7,
    }

    async def scenario(store: Datastore) -> None:
        key = Key("NetworkSet", "default", "a")
        await backend.damage(store, key, json.dumps(body).encode())
        found = await store.get(key)
        changed = await store.update(with_metadata(found, labels={"app": "y"}))
        await store.update(with_metadata(changed, labels={"app": "z"}))
        stored = json.loads(await backend.stored(store, key))
        assert stored["spec"] == body["spec"]
        assert stored["future"] == 7
        assert stored["metadata"]["labels"] == {"app": "z"}
        assert stored["metadata"]["novel"] == {"x": None}

    check(scenario, Ability.UNKNOWN_FIELDS)


def test_a_malformed_object_stands_apart_and_hides_nothing(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        key = Key("NetworkSet", "default", "bad")
        start = await store.revision()
        await store.create(network_set("a"))
        await backend.damage(store, key, b'{"metadata": {"name": "bad", "labels": {"a": 7}}}')
        last = await store.create(network_set("c"))
        listing = await store.list("NetworkSet")
        assert [item.metadata.name for item in listing.resources] == ["a", "c"]
        (bad,) = listing.malformed
        assert bad.key == key
        assert start < bad.revision < revision_of(last)
        assert "labels" in bad.reason
        events = await changes_until(store, KINDS, start, revision_of(last))
        assert [type(event) for event in events] == [Put, Malformed, Put]
        with pytest.raises(DatastoreError, match="can't be read"):
            await store.get(key)

    check(scenario, Ability.RAW_OBJECTS)


def test_a_malformed_object_can_be_replaced_and_deleted(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        key = Key("NetworkSet", "default", "bad")
        await backend.damage(store, key, b"no JSON")
        await store.update(network_set("bad"))
        assert (await store.get(key)).metadata.name == "bad"
        await backend.damage(store, key, b"no JSON")
        assert await store.delete(key) is None
        assert (await store.list("NetworkSet")).malformed == ()

    check(scenario, Ability.RAW_BYTES)


def test_an_object_that_claims_another_name_is_malformed(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        key = Key("NetworkSet", "default", "a")
        await backend.damage(store, key, b'{"metadata": {"name": "b"}, "spec": {}}')
        (bad,) = (await store.list("NetworkSet")).malformed
        assert "NetworkSet(b)" in bad.reason

    check(scenario, Ability.FALSE_NAMES)


def test_a_closed_store_says_so(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        await store.close()
        await store.close()
        with pytest.raises(Closed, match="closed"):
            await store.get(Key("NetworkSet", "default", "a"))
        with pytest.raises(Closed, match="closed"):
            await store.list("NetworkSet")
        with pytest.raises(Closed, match="closed"):
            await store.create(network_set("a"))

    check(scenario)


def test_what_one_store_object_wrote_another_reads(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        other = await backend.open()
        try:
            assert await other.identity() == await store.identity()
            made = await store.create(network_set("a"))
            assert await other.get(made.key) == made
            changed = await other.update(with_metadata(made, labels={"app": "y"}))
            with pytest.raises(Conflict):
                await store.update(made)
            assert (await store.list("NetworkSet")).resources == (changed,)
        finally:
            await other.close()
        assert await store.get(made.key) == changed

    check(scenario, Ability.SEVERAL_OBJECTS)


def test_identities_agree_when_many_ask_at_once(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        others = [await backend.open() for _ in range(4)]
        try:
            asked = (each.identity() for each in (store, *others))
            assert len(set(await asyncio.gather(*asked))) == 1
        finally:
            for other in others:
                await other.close()

    check(scenario, Ability.SEVERAL_OBJECTS)


def test_update_with_writes_nothing_where_nothing_is_to_change(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = await store.create(network_set("a"))
        assert await update_with(store, made.key, lambda _: None) == made
        assert await store.get(made.key) == made

    check(scenario)
