"""One feed for all controllers: each kind is listed and watched once, and all readers hear."""

import asyncio

from strategies.controllers import World, eventually, node
from strategies.faults import FaultyStore
from strategies.ipam import pool
from tortie.api import Key
from tortie.controllers.feed import Feed
from tortie.datastore.finalizers import finalizers_of
from tortie.datastore.memory import MemoryDatastore


def test_each_kind_is_listed_and_watched_once_for_all_controllers() -> None:
    async def scenario() -> None:
        store = MemoryDatastore()
        await store.create(node("n1"))
        counted = FaultyStore(store, [])
        world = World(store=counted)

        async def settled() -> bool:
            return counted.calls.count("watch") > 0 and not world.health.not_ready()

        async def guarded() -> bool:  # later: by a controller that has heard of a change
            return bool(finalizers_of(await store.get(Key("IPPool", "", "p"))))

        async with world.running():
            await eventually(settled)
            await store.create(pool("p", "10.0.0.0/24"))
            await eventually(guarded)
        assert counted.calls.count("watch") == 1

    asyncio.run(scenario())


async def heard_of(heard: list[tuple[str, bool]], count: int) -> bool:
    return len(heard) == count


def test_readers_hear_of_changes_after_the_picture_has_them() -> None:
    heard: list[tuple[str, bool]] = []

    async def scenario() -> None:
        store = MemoryDatastore()
        feed = Feed(store, ("Node",), lambda _: None)
        end = feed.subscribe(
            ("Node",), lambda key: heard.append((key.name, feed.get(key) is not None))
        )
        task = asyncio.ensure_future(feed.run())
        await feed.in_sync.wait()
        await store.create(node("n1"))
        await eventually(lambda: heard_of(heard, 1))
        await store.delete(Key("Node", "", "n1"))
        await eventually(lambda: heard_of(heard, 2))
        end()
        await store.create(node("n2"))

        async def known() -> bool:
            return Key("Node", "", "n2") in feed.objects("Node")

        await eventually(known)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())
    assert heard == [("n1", True), ("n1", False)]


def test_an_outage_is_told_and_what_is_known_stays() -> None:
    async def scenario() -> None:
        store = MemoryDatastore()
        await store.create(node("n1"))
        broken: list[str] = []
        faulty = FaultyStore(store, iter(lambda: "unavailable" if broken else "", None))
        feed = Feed(faulty, ("Node",), lambda _: None)
        task = asyncio.ensure_future(feed.run())
        await feed.in_sync.wait()

        async def away() -> bool:
            await asyncio.sleep(0)
            return bool(feed.outage)

        broken.append("from now on")
        await store.create(node("n2"))
        await eventually(away)
        assert "unavailable, as told" in feed.outage
        assert Key("Node", "", "n1") in feed.objects("Node")
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())
