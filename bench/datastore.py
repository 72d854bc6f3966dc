"""What the SQLite datastore costs: prints JSON lines {"name", "value", "unit"}.

Latency is from the call of the write until a watcher in another process has the batch, so the
commit is in it: with few writes, and with `LOAD` a second as long as it is measured. Puts are
compared with a bare sqlite3 loop of the same run (one row, one commit), and done by two processes
at once. Idle is a watcher while nobody writes: its time, and how often the kernel woke it.
"""

import asyncio
import json
import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tortie.api import Namespace, ObjectMeta, Pod, PodSpec, with_metadata
from tortie.datastore import AlreadyExists
from tortie.datastore.sqlite import SqliteDatastore

COMMITS, PUTS, IDLE_SECONDS = 500, 3_000, 5
LOAD, LOAD_SECONDS = 2_000, 5  # writes a second


def tell(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


def pod(name: str) -> Pod:
    labels = {"app": "web", "version": "v1", "team": "shop"}
    return Pod(
        metadata=ObjectMeta(name=name, namespace="shop", labels=labels),
        spec=PodSpec(containers=()),
    )


class Spent(NamedTuple):
    """What this process took so far."""

    seconds: float
    wakeups: int

    @classmethod
    def now(cls) -> "Spent":
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(used.ru_utime + used.ru_stime, used.ru_nvcsw)


async def watcher(path: str) -> None:
    """The child: prints the revision and the time of each event as it comes."""
    store = await SqliteDatastore.open(path)
    print("ready", flush=True)
    before = Spent.now()
    async for batch in store.watch(["Pod"], await store.revision()):
        now = time.monotonic_ns()
        if not batch.events:  # the parent's sign that the idle time is over
            after = Spent.now()
            print(after.seconds - before.seconds, after.wakeups - before.wakeups, flush=True)
            return
        for event in batch.events:
            print(event.revision, now, flush=False)
        sys.stdout.flush()


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[asyncio.StreamReader]:
    """What a watcher prints, in a process of its own that rests by now."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", __file__, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    await child.stdout.readline()
    await asyncio.sleep(0.5)
    yield child.stdout
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
    await child.wait()


async def latency(path: Path) -> None:
    store = await SqliteDatastore.open(path)
    async with watching(path) as told:
        await measure(store, told, COMMITS, COMMITS / 3, "datastore_write_to_watch")
    async with watching(path) as told:
        name = f"datastore_write_to_watch_at_{LOAD}_a_second"
        await measure(store, told, LOAD * LOAD_SECONDS, LOAD, name)
    await store.close()


async def measure(
    store: SqliteDatastore, told: asyncio.StreamReader, count: int, rate: float, name: str
) -> None:
    """Write `count` times, at most `rate` a second, and tell how late the watcher hears of it."""
    seen = asyncio.ensure_future(_all_seen(told, count))
    written: dict[int, int] = {}
    begin = time.monotonic()
    made = await update_or_create(store, "p")
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        start = time.monotonic_ns()
        made = await store.update(with_metadata(made, labels={"n": str(number)}))
        written[int(made.metadata.resource_version)] = start
    tell(f"{name}_rate", count / (time.monotonic() - begin), "1/s")
    heard = await seen
    delays = sorted((heard[revision] - at) / 1e6 for revision, at in written.items())
    tell(f"{name}_p50", statistics.median(delays), "ms")
    tell(f"{name}_p99", delays[int(len(delays) * 0.99)], "ms")


async def update_or_create(store: SqliteDatastore, name: str) -> Pod:
    try:
        made = await store.create(pod(name))
    except AlreadyExists:
        made = await store.update(pod(name))
    assert isinstance(made, Pod)
    return made


async def idle(path: Path) -> None:
    store = await SqliteDatastore.open(path)
    async with watching(path) as told:
        await asyncio.sleep(IDLE_SECONDS)
        await store.create(Namespace(metadata=ObjectMeta(name="end")))
        cpu, wakeups = (await told.readline()).split()
    tell("datastore_idle_watch_cpu", 100 * float(cpu) / IDLE_SECONDS, "%")
    tell("datastore_idle_watch_wakeups", float(wakeups), "in all, the last write's too")
    await store.close()


async def _all_seen(told: asyncio.StreamReader, count: int) -> dict[int, int]:
    return dict([await _seen(told) for _ in range(count + 1)])


async def _seen(stream: asyncio.StreamReader) -> tuple[int, int]:
    revision, at = (await stream.readline()).split()
    return int(revision), int(at)


async def puts(path: Path) -> float:
    store = await SqliteDatastore.open(path)
    start = time.perf_counter()
    for number in range(PUTS):
        await store.create(pod(f"p{number}"))
    rate = PUTS / (time.perf_counter() - start)
    start = time.perf_counter()
    for number in range(PUTS):
        await store.get(pod(f"p{number}").key)
    tell("datastore_gets", PUTS / (time.perf_counter() - start), "1/s")
    start = time.perf_counter()
    listing = await store.list("Pod")
    tell("datastore_list", len(listing.resources) / (time.perf_counter() - start), "objects/s")
    await store.close()
    return rate


async def puts_by_two(path: Path) -> None:
    """Two processes that write at once, in turns that the file's lock gives them."""
    await (await SqliteDatastore.open(path)).close()
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-P", __file__, str(path), name, stdout=asyncio.subprocess.PIPE
        )
        for name in ("a", "b")
    ]
    spans = [(await writer.communicate())[0].split() for writer in writers]
    begin, end = min(float(span[0]) for span in spans), max(float(span[1]) for span in spans)
    tell("datastore_puts_by_two_processes", 2 * PUTS / (end - begin), "1/s")


async def put_all(path: str, prefix: str) -> None:
    """The child: writes, and prints from when to when."""
    store = await SqliteDatastore.open(path)
    begin = time.monotonic()
    for number in range(PUTS):
        await store.create(pod(f"{prefix}{number}"))
    print(begin, time.monotonic())
    await store.close()


def bare_puts(path: Path) -> float:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("CREATE TABLE objects (name TEXT PRIMARY KEY, value BLOB)")
    value = os.urandom(300)
    start = time.perf_counter()
    for number in range(PUTS):
        database.execute("INSERT INTO objects VALUES (?, ?)", (f"p{number}", value))
    return PUTS / (time.perf_counter() - start)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(latency(Path(folder) / "latency"))
        asyncio.run(idle(Path(folder) / "idle"))
        rate, bare = asyncio.run(puts(Path(folder) / "puts")), bare_puts(Path(folder) / "bare")
        tell("datastore_puts", rate, "1/s")
        tell("datastore_bare_sqlite_puts", bare, "1/s")
        tell("datastore_puts_to_bare_sqlite", rate / bare, "ratio")
        asyncio.run(puts_by_two(Path(folder) / "two"))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [path]:
            asyncio.run(watcher(path))
        case [path, prefix]:
            asyncio.run(put_all(path, prefix))
        case _:
            main()
