"""What the SQLite datastore costs: prints JSON lines {"name", "value", "unit"}.

Latency is from the call of the write until a watcher in another process has the batch, so the
commit is in it. Puts are compared with a bare sqlite3 loop of the same run: one row, one commit.
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
from pathlib import Path

from tortie.api import Namespace, ObjectMeta, Pod, PodSpec, with_metadata
from tortie.datastore.sqlite import SqliteDatastore

COMMITS, PUTS, IDLE_SECONDS = 500, 3_000, 5


def tell(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


def pod(name: str) -> Pod:
    labels = {"app": "web", "version": "v1", "team": "shop"}
    return Pod(
        metadata=ObjectMeta(name=name, namespace="shop", labels=labels),
        spec=PodSpec(containers=()),
    )


async def watcher(path: str) -> None:
    """The child: prints the revision and the time of each event as it comes."""
    store = await SqliteDatastore.open(path)
    print("ready", flush=True)
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    idle = cpu.ru_utime + cpu.ru_stime
    async for batch in store.watch(["Pod"], await store.revision()):
        now = time.monotonic_ns()
        if not batch.events:  # the parent's sign that the idle time is over
            cpu = resource.getrusage(resource.RUSAGE_SELF)
            print("cpu", cpu.ru_utime + cpu.ru_stime - idle, flush=True)
            return
        for event in batch.events:
            print(event.revision, now, flush=False)
        sys.stdout.flush()


async def latency(path: Path) -> None:
    store = await SqliteDatastore.open(path)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", __file__, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    await child.stdout.readline()
    await asyncio.sleep(0.5)
    written: dict[int, int] = {}
    made = await store.create(pod("p"))
    for number in range(COMMITS):
        start = time.monotonic_ns()
        made = await store.update(with_metadata(made, labels={"n": str(number)}))
        written[int(made.metadata.resource_version)] = start
        await asyncio.sleep(0.005)
    seen = dict([await _seen(child.stdout) for _ in range(COMMITS + 1)])
    delays = sorted((seen[revision] - at) / 1e6 for revision, at in written.items())
    tell("datastore_write_to_watch_p50", statistics.median(delays), "ms")
    tell("datastore_write_to_watch_p99", delays[int(len(delays) * 0.99)], "ms")
    await store.close()
    child.kill()
    await child.wait()


async def idle(path: Path) -> None:
    store = await SqliteDatastore.open(path)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", __file__, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    await child.stdout.readline()
    await asyncio.sleep(IDLE_SECONDS)
    await store.create(Namespace(metadata=ObjectMeta(name="end")))
    _, cpu = (await child.stdout.readline()).split()
    tell("datastore_idle_watch_cpu", 100 * float(cpu) / IDLE_SECONDS, "%")
    await store.close()
    await child.wait()


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


if __name__ == "__main__":
    asyncio.run(watcher(sys.argv[1])) if len(sys.argv) > 1 else main()
