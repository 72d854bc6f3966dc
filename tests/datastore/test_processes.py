"""Several processes on one file, and processes that die."""

import asyncio
import os
import random
import sys
from collections import Counter
from pathlib import Path

from strategies.datastore import changes_until, global_network_set
from tortie.api import Key
from tortie.datastore import Event, Put
from tortie.datastore.sqlite import SqliteDatastore

KILLS = int(os.environ.get("TORTIE_KILLS", "20"))
WRITER = Path(__file__).with_name("writer.py")
COUNTER = Key("GlobalNetworkSet", "", "counter")
KINDS = ["GlobalNetworkSet"]


async def _writer(path: Path, prefix: str, count: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(WRITER), str(path), prefix, str(count)),
        stdout=asyncio.subprocess.PIPE,
    )


def test_writers_in_several_processes_lose_and_double_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        store = await SqliteDatastore.open(tmp_path / "db")
        await store.create(global_network_set("counter", n="0"))
        watching = asyncio.ensure_future(changes_until(store, KINDS, 0, 1 + 4 * 2 * 50))
        writers = [await _writer(tmp_path / "db", f"w{number}", 50) for number in range(4)]
        told = [(await writer.communicate())[0] for writer in writers]
        events = await watching
        assert [event.revision for event in events] == list(range(1, 402))
        assert (await store.get(COUNTER)).metadata.labels == {"n": "200"}
        acknowledged = {line for out in told for line in out.decode().splitlines()}
        seen = {f"{event.revision} {event.key.name}" for event in events if event.key != COUNTER}
        assert seen == acknowledged
        await store.close()

    asyncio.run(body())


def test_a_writer_killed_at_any_moment_leaves_the_store_whole(tmp_path: Path) -> None:
    """Every acknowledged write is there, each change was told once, the others go on."""
    path = tmp_path / "db"

    async def body() -> None:
        store = await SqliteDatastore.open(path)
        await store.create(global_network_set("counter", n="0"))
        events: list[Event] = []
        watching = asyncio.ensure_future(_collect(store, events))
        acknowledged: set[str] = set()
        for number in range(KILLS):
            acknowledged |= await _killed_writer(path, f"k{number}")
            await store.create(global_network_set(f"survivor-{number}"))
        await store.create(global_network_set("end"))
        async with asyncio.timeout(60):
            await watching
        await store.verify()
        _check_story(events, acknowledged)
        await _check_state(store, events)
        await store.close()

    asyncio.run(body())


async def _killed_writer(path: Path, prefix: str) -> set[str]:
    """What a writer had acknowledged when it was killed."""
    writer = await _writer(path, prefix, -1)
    assert writer.stdout is not None
    told = [await writer.stdout.readline() for _ in range(random.randint(1, 40))]
    await asyncio.sleep(random.uniform(0, 0.002))  # anywhere within a transaction
    writer.kill()
    rest, _ = await writer.communicate()
    lines = (b"".join(told) + rest).decode()
    return set(lines[: lines.rfind("\n")].splitlines())


async def _collect(store: SqliteDatastore, events: list[Event]) -> None:
    async for batch in store.watch(KINDS, 0):
        events += batch.events
        if any(event.key.name == "end" for event in batch.events):
            return


def _check_story(events: list[Event], acknowledged: set[str]) -> None:
    assert [event.revision for event in events] == list(range(1, len(events) + 1))
    told = {f"{event.revision} {event.key.name}" for event in events}
    assert acknowledged <= told
    assert len(acknowledged) >= KILLS


async def _check_state(store: SqliteDatastore, events: list[Event]) -> None:
    """The objects are what the changes add up to."""
    folded = {event.key: event.resource for event in events if isinstance(event, Put)}
    listing = await store.list("GlobalNetworkSet")
    assert {item.key: item for item in listing.resources} == folded
    creates = Counter(event.key for event in events if event.key != COUNTER)
    assert set(creates.values()) == {1}
