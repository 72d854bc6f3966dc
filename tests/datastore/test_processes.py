"""Several processes on one file, processes that die, processes that idle."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from strategies.datastore import changes_until, global_network_set
from tortie.api import Key
from tortie.datastore import Event, Put
from tortie.datastore.sqlite import SqliteDatastore

KILLS = int(os.environ.get("TORTIE_KILLS", "200"))
NURSERIES = 4  # writers at once: those that live are to get on with what the dead left
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


def test_a_process_that_opens_it_twice_keeps_its_log_from_others(tmp_path: Path) -> None:
    """Its locks are the process's: to open and close the file by the way would let go of them."""
    path = tmp_path / "db"

    async def body() -> None:
        first = await SqliteDatastore.open(path)
        await first.create(global_network_set("counter", n="0"))
        second = await SqliteDatastore.open(path)
        await (await _writer(path, "w", 1)).communicate()  # it takes the log with it if it may
        await first.create(global_network_set("a"))
        await second.create(global_network_set("b"))
        command = (sys.executable, "-c", _REVISION, str(path))
        other = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await other.communicate()
        assert int(out) == await first.revision()
        await first.close()
        await second.close()

    asyncio.run(body())


_REVISION = """
import asyncio, sys
from tortie.datastore.sqlite import SqliteDatastore

async def main():
    store = await SqliteDatastore.open(sys.argv[1])
    print(await store.revision())
    await store.close()

asyncio.run(main())
"""


def test_a_writer_killed_at_any_moment_leaves_the_store_whole(tmp_path: Path) -> None:
    """Every acknowledged write is there, each change was told once, the others go on."""
    path = tmp_path / "db"

    async def body() -> None:
        store = await SqliteDatastore.open(path)
        await store.create(global_network_set("counter", n="0"))
        events: list[Event] = []
        watching = asyncio.ensure_future(_collect(store, events))
        told = await asyncio.gather(*(_killed_writers(path, store, n) for n in range(NURSERIES)))
        acknowledged = set().union(*told)
        await store.create(global_network_set("end"))
        async with asyncio.timeout(60):
            await watching
        await store.verify()
        _check_story(events, acknowledged)
        await _check_state(store, events)
        await store.close()

    asyncio.run(body())


async def _killed_writers(path: Path, store: SqliteDatastore, number: int) -> set[str]:
    """What writers had acknowledged when they were killed, one after the other."""
    nursery = await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(WRITER), str(path), "--nursery"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told: set[str] = set()
    async with asyncio.timeout(200):
        for turn in range(KILLS // NURSERIES):
            told |= await _killed_writer(nursery, f"k{number}-{turn}")
            await store.create(global_network_set(f"survivor-{number}-{turn}"))
    assert nursery.stdin is not None
    nursery.stdin.close()
    assert await nursery.wait() == 0
    return told


async def _killed_writer(nursery: asyncio.subprocess.Process, prefix: str) -> set[str]:
    """What the writer of that prefix had acknowledged when it was killed."""
    assert nursery.stdin is not None
    nursery.stdin.write(f"{prefix}\n".encode())
    lines, wanted = [], random.randint(2, 20)
    while len(lines) < wanted:  # one is its process id
        lines.append(await _line(nursery))
    await asyncio.sleep(random.uniform(0, 0.002))  # anywhere within a transaction
    (writer,) = (number for number, what in lines if what == "pid")
    os.kill(writer, signal.SIGKILL)
    while (writer, "end") not in lines:
        lines.append(await _line(nursery))
    told = {f"{number} {what}" for number, what in lines if what.startswith(prefix)}
    assert len(told) == len(lines) - 2
    return told


async def _line(nursery: asyncio.subprocess.Process) -> tuple[int, str]:
    assert nursery.stdout is not None
    number, what = (await nursery.stdout.readline()).decode().split()
    return int(number), what


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


def test_a_process_that_watches_an_idle_store_is_never_woken(tmp_path: Path) -> None:
    """Counted by the kernel: a thread that wakes gives up its processor of its own will again."""

    async def body() -> None:
        store = await SqliteDatastore.open(tmp_path / "db")
        await store.create(global_network_set("a"))
        watcher = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WATCHER, tmp_path / "db", stdout=asyncio.subprocess.PIPE
        )
        assert watcher.stdout is not None
        assert await watcher.stdout.readline() == b"a\n"
        resting = await _resting(watcher.pid)
        await asyncio.sleep(3)
        assert _wakeups(watcher.pid) == resting
        await store.create(global_network_set("b"))
        assert await watcher.stdout.readline() == b"b\n"
        assert _wakeups(watcher.pid) > resting
        watcher.kill()
        await watcher.wait()
        await store.close()

    asyncio.run(body())


_WATCHER = """
import asyncio, sys
from tortie.datastore.sqlite import SqliteDatastore

async def main():
    store = await SqliteDatastore.open(sys.argv[1])
    async for batch in store.watch(["GlobalNetworkSet"], 0):
        for event in batch.events:
            print(event.key.name, flush=True)

asyncio.run(main())
"""


async def _resting(pid: int) -> int:
    """The count of wake-ups once it no longer rises, as no thread has anything to do."""
    for _ in range(300):
        before = _wakeups(pid)
        await asyncio.sleep(0.2)
        if _sleeps(pid) and _wakeups(pid) == before:
            return before
    raise AssertionError("the process never comes to rest")


def _sleeps(pid: int) -> bool:
    """Whether all its threads do: one that waits for a processor would count later."""
    tasks = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return all(stat[stat.rindex(")") + 2] == "S" for stat in tasks)


def _wakeups(pid: int) -> int:
    counts = [
        int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    ]
    return sum(counts)
