"""What every backend promises of listings in pages, checked against each."""

from contextlib import aclosing

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
from tortie.api import Key, Resource, with_metadata
from tortie.datastore import Datastore, Gone, Listing


async def _pages(store: Datastore, size: int, namespace: str | None = None) -> list[Listing]:
    return [page async for page in store.pages("NetworkSet", namespace, size)]


def _objects(pages: list[Listing]) -> tuple[Resource, ...]:
    return tuple(resource for page in pages for resource in page.resources)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 500])
def test_pages_are_the_list_in_parts(check: Check, size: int) -> None:
    async def scenario(store: Datastore) -> None:
        for number in range(7):
            await store.create(network_set(f"n{number}", "ab" if number % 2 else "a"))
        await store.create(global_network_set("x"))
        listing = await store.list("NetworkSet")
        pages = await _pages(store, size)
        assert _objects(pages) == listing.resources
        assert max(len(page.resources) for page in pages) == min(size, 7)
        assert len({page.revision for page in pages}) == 1
        of_one = await _pages(store, size, "a")
        assert _objects(of_one) == (await store.list("NetworkSet", "a")).resources
        assert len(_objects(of_one)) == 4

    check(scenario)


def test_of_nothing_there_is_one_empty_page(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        (page,) = await _pages(store, 2)
        assert (page.resources, page.malformed) == ((), ())
        assert page.revision <= await store.revision()

    check(scenario)


def test_pages_are_of_one_moment_while_writers_go_on(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        made = [await store.create(network_set(f"n{number}")) for number in range(6)]
        async with aclosing(store.pages("NetworkSet", size=2)) as pages:
            seen = [await anext(pages)]
            await store.update(with_metadata(made[3], labels={"app": "y"}))
            await store.delete(made[4].key)
            last = await store.create(network_set("n9"))
            seen += [page async for page in pages]
        assert _objects(seen) == tuple(made)
        assert {page.revision for page in seen} == {seen[0].revision}
        later = await changes_until(store, ["NetworkSet"], seen[0].revision, revision_of(last))
        assert [event.key.name for event in later] == ["n3", "n4", "n9"]

    check(scenario)


def test_pages_are_whole_or_gone_where_the_history_is_forgotten_midway(
    check: Check, backend: Backend
) -> None:
    async def scenario(store: Datastore) -> None:
        made = [await store.create(network_set(f"n{number}")) for number in range(6)]
        seen: list[Listing] = []
        try:
            async for page in store.pages("NetworkSet", size=2):
                seen.append(page)
                made[5] = await store.update(made[5])
                await backend.compact(store)
        except Gone:
            assert len(seen) < 3
        else:
            assert [item.key.name for item in _objects(seen)] == [f"n{n}" for n in range(6)]
            assert {page.revision for page in seen} == {seen[0].revision}
        assert _objects(await _pages(store, 2)) == tuple(made)

    check(scenario, Ability.COMPACTION)


def test_what_is_malformed_stands_in_the_pages_once(check: Check, backend: Backend) -> None:
    async def scenario(store: Datastore) -> None:
        for number in range(5):
            await store.create(network_set(f"n{number}"))
        bad = Key("NetworkSet", "default", "n3-bad")
        await backend.damage(store, bad, b'{"metadata": {"name": "n3-bad", "labels": 7}}')
        pages = await _pages(store, 2)
        assert [item.key.name for item in _objects(pages)] == [f"n{n}" for n in range(5)]
        assert [item.key for page in pages for item in page.malformed] == [bad]

    check(scenario, Ability.RAW_OBJECTS)


def test_who_stops_after_a_page_leaves_nothing_open(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        for number in range(4):
            await store.create(network_set(f"n{number}"))
        for _ in range(50):
            async with aclosing(store.pages("NetworkSet", size=1)) as pages:
                await anext(pages)
        await store.create(network_set("n4"))
        assert len(_objects(await _pages(store, 3))) == 5

    check(scenario)
