"""What every backend promises of watches, checked against each."""

import asyncio
from contextlib import aclosing

import pytest

from datastore.conftest import Check
from strategies.datastore import (
    Ability,
    Backend,
    changes_until,
    first_batch,
    first_events,
    global_network_set,
    network_set,
    revision_of,
)
from tortie.api import Key, ObjectMeta, Tier, TierSpec, with_metadata
from tortie.datastore import Datastore, Deleted, Event, Gone, Put

KINDS = ("NetworkSet",)
BOTH = ("NetworkSet", "GlobalNetworkSet")


def test_a_watch_tells_every_change_in_order(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        first = await store.create(network_set("a"))
        second = await store.update(with_metadata(first, labels={"app": "y"}))
        await store.delete(first.key)
        third = await store.create(network_set("a"))
        put, changed, deleted, again = await changes_until(store, KINDS, start, revision_of(third))
        assert put == Put(first.key, first, revision_of(first))
        assert changed == Put(first.key, second, revision_of(second))
        assert isinstance(deleted, Deleted)
        assert deleted.key == first.key
        assert revision_of(second) < deleted.revision < revision_of(third)
        assert again == Put(first.key, third, revision_of(third))
        assert await changes_until(store, KINDS, deleted.revision, revision_of(third)) == [again]

    check(scenario)


def test_a_watch_waits_for_what_comes(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        async with aclosing(store.watch(KINDS, await store.revision())) as watch:
            waiting = asyncio.ensure_future(first_events(watch))
            await asyncio.sleep(0)
            made = await store.create(network_set("a"))
            assert await waiting == (Put(made.key, made, revision_of(made)),)
            waiting = asyncio.ensure_future(first_events(watch))
            await asyncio.sleep(0)
            await store.delete(made.key)
            (deleted,) = await waiting
            assert isinstance(deleted, Deleted)
            assert deleted.key == made.key

    check(scenario)


def test_a_watch_goes_on_where_a_listing_ends(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        kept = await store.create(network_set("a"))
        listing = await store.list("NetworkSet")
        later = await store.create(network_set("b"))
        assert listing.resources == (kept,)
        assert await changes_until(store, KINDS, listing.revision, revision_of(later)) == [
            Put(later.key, later, revision_of(later))
        ]

    check(scenario)


def test_a_watch_that_is_begun_anew_where_another_stopped_misses_nothing(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        since = await store.revision()
        made = [await store.create(network_set(f"n{number}")) for number in range(30)]
        told: set[str] = set()
        for resource in made:
            if resource.key.name in told:
                continue
            async with aclosing(store.watch(KINDS, since)) as watch:
                batch = await first_batch(watch)
            since = batch.revision
            told |= {event.key.name for event in batch.events}
        assert told == {f"n{number}" for number in range(30)}

    check(scenario)


def test_a_watch_tells_nothing_of_other_kinds(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        await store.create(network_set("a"))
        await store.create(global_network_set("a"))
        tier = await store.create(Tier(metadata=ObjectMeta(name="a"), spec=TierSpec(order=1)))
        assert await changes_until(store, ["Tier"], start, revision_of(tier)) == [
            Put(tier.key, tier, revision_of(tier))
        ]

    check(scenario)


def test_a_watch_goes_on_with_the_store(check: Check) -> None:
    """Its revision rises without events, so that it never falls out of the history."""

    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        made = await store.create(network_set("a"))
        async with aclosing(store.watch(["Tier"], start)) as watch:
            batch = await first_batch(watch)
            while batch.revision < revision_of(made):
                batch = await first_batch(watch)
            assert batch.events == ()

    check(scenario, Ability.QUIET_PROGRESS)


def test_a_watch_of_several_kinds_tells_of_all(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        made = [
            await store.create(make(f"n{number}"))
            for number in range(10)
            for make in (network_set, global_network_set)
        ]
        events: list[Event] = []
        async with asyncio.timeout(60), aclosing(store.watch(BOTH, start)) as watch:
            while len(events) < len(made):
                events += await first_events(watch)
        assert sorted(event.key for event in events) == sorted(each.key for each in made)
        for kind in BOTH:
            told = [event.revision for event in events if event.key.kind == kind]
            assert told == sorted(told)

    check(scenario)


def test_changes_of_several_kinds_come_in_one_order(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        made = [
            await store.create(make(f"n{number}"))
            for number in range(10)
            for make in (network_set, global_network_set)
        ]
        events = await changes_until(store, BOTH, start, revision_of(made[-1]))
        assert [event.key for event in events] == [each.key for each in made]

    check(scenario, Ability.ORDER_ACROSS_KINDS)


def test_a_long_history_comes_whole(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        made = await store.create(network_set("a"))
        written = [revision_of(made)]
        for number in range(1_100):
            made = await store.update(with_metadata(made, labels={"n": str(number)}))
            written.append(revision_of(made))
        events = await changes_until(store, KINDS, start, written[-1])
        assert [event.revision for event in events] == written

    check(scenario)


def test_a_watch_of_what_was_forgotten_is_gone(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        before = await store.revision()
        made = await store.create(network_set("a"))
        for _ in range(20):
            made = await store.update(made)
        await backend.compact(store)
        with pytest.raises(Gone):
            async with aclosing(store.watch(KINDS, before)) as watch:
                await first_batch(watch)
        listing = await store.list("NetworkSet")
        assert listing.resources == (made,)
        later = await store.update(made)
        assert await changes_until(store, KINDS, listing.revision, revision_of(later)) == [
            Put(made.key, later, revision_of(later))
        ]

    check(scenario, Ability.COMPACTION)


def test_a_watch_that_keeps_up_outlives_a_compaction(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        async with aclosing(store.watch(KINDS, await store.revision())) as watch:
            made = await store.create(network_set("a"))
            assert await first_events(watch) == (Put(made.key, made, revision_of(made)),)
            await backend.compact(store)
            later = await store.update(made)
            assert await first_events(watch) == (Put(made.key, later, revision_of(later)),)

    check(scenario, Ability.COMPACTION)


def test_a_watch_from_a_revision_to_come_is_gone(check: Check) -> None:
    """It is of another life of the store: going on from there would skip changes."""

    async def scenario(store: Datastore) -> None:
        await store.create(network_set("a"))
        future = await store.revision() + 1_000_000
        with pytest.raises(Gone):
            async with aclosing(store.watch(KINDS, future)) as watch:
                await first_batch(watch)

    check(scenario)


def test_a_closed_store_ends_its_watches(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        watches = [asyncio.ensure_future(first_events(store.watch(KINDS, start))) for _ in "abc"]
        await asyncio.sleep(0.01)
        await store.close()
        for watch in watches:
            with pytest.raises(AssertionError, match="the watch ended"):
                await watch

    check(scenario)


def test_one_write_reaches_each_of_many_watches(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        watches = [store.watch(KINDS, start) for _ in range(200)]
        waiting = [asyncio.ensure_future(first_events(watch)) for watch in watches]
        await asyncio.sleep(0.01)
        made = await store.create(network_set("a"))
        told = (Put(made.key, made, revision_of(made)),)
        assert await asyncio.gather(*waiting) == [told] * 200
        for watch in watches:
            await watch.aclose()
        assert await store.get(made.key) == made

    check(scenario)


def test_a_slow_watch_holds_up_no_other(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        start = await store.revision()
        key = Key("NetworkSet", "default", "n99")
        async with aclosing(store.watch(KINDS, start)) as slow:
            waiting = asyncio.ensure_future(first_events(slow))
            made = [await store.create(network_set(f"n{number}")) for number in range(100)]
            await waiting  # and then reads no further
            events = await changes_until(store, KINDS, start, revision_of(made[-1]))
            assert events[-1].key == key

    check(scenario)
