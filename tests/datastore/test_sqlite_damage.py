"""A SQLite store on a damaged, full or read-only disk: found, named, and no worse than it must be.

What is damaged is damaged with nobody connected, since SQLite keeps pages in memory; what a process
that was killed left behind is a copy of its files, made while it still has them open.
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from strategies.datastore import changes_until, first_batch, network_set
from tortie.api import Key
from tortie.datastore import Gone, Put, Unavailable
from tortie.datastore.sqlite import SqliteDatastore

KINDS = ["NetworkSet"]
COUNT = 200
DAMAGED = r"db is damaged: stop what uses it, restore the file from a copy"
PAGE = 4096


def run(path: Path, scenario: Callable[[SqliteDatastore], Awaitable[None]]) -> None:
    async def body() -> None:
        opened = await SqliteDatastore.open(path)
        try:
            await scenario(opened)
        finally:
            await opened.close()

    asyncio.run(body())


async def fill(opened: SqliteDatastore) -> None:
    for number in range(COUNT):
        await opened.create(network_set(f"n{number}", app="x" * 200))


async def look(opened: SqliteDatastore) -> None:
    with pytest.raises(Unavailable, match=DAMAGED):
        await opened.list("NetworkSet")
    with pytest.raises(Unavailable, match=DAMAGED):
        await opened.verify()
    with pytest.raises(Unavailable, match=DAMAGED):
        await first_batch(opened.watch(KINDS, 0))


def overwritten(start: int, end: int) -> Callable[[bytes], bytes]:
    """Bytes with nonsense from `start` to `end` (from the end where negative)."""

    def change(data: bytes) -> bytes:
        stop = end if end > 0 else len(data) + end
        return data[:start] + b"\xff" * (stop - start) + data[stop:]

    return change


@pytest.mark.parametrize(
    "change",
    [
        overwritten(0, 16),  # the header's magic
        overwritten(0, 100),  # the whole header
        overwritten(100, PAGE),  # the schema
        lambda data: b"not a database, but as long " * (len(data) // 28),
        lambda data: data[: PAGE * 5],
        lambda data: data[: len(data) // 2],
    ],
)
def test_a_damaged_head_or_a_cut_tail_is_found_on_opening(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    run(tmp_path / "db", fill)
    _damage(tmp_path / "db", change)
    with pytest.raises(Unavailable, match=r"db (is damaged|can't be)"):
        run(tmp_path / "db", look)


def test_damage_in_the_middle_is_found_by_who_reads_there(tmp_path: Path) -> None:
    run(tmp_path / "db", fill)
    _damage(tmp_path / "db", overwritten(PAGE * 4, -PAGE))
    run(tmp_path / "db", look)


def test_an_index_that_lost_objects_is_found_by_verify(tmp_path: Path) -> None:
    """Damage within pages that still look whole: only reading everything finds it."""

    async def verify(opened: SqliteDatastore) -> None:
        with pytest.raises(Unavailable, match=DAMAGED):
            await opened.verify()

    run(tmp_path / "db", fill)
    with closing(sqlite3.connect(tmp_path / "db")) as database:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_objects_1'"
        (root,) = database.execute(query).fetchone()
    empty_leaf = bytes([10, 0, 0, 0, 0, 0x10, 0, 0])
    start = (root - 1) * PAGE
    _damage(tmp_path / "db", lambda data: data[:start] + empty_leaf + data[start + 8 :])
    run(tmp_path / "db", verify)


LOG: dict[str, Callable[[bytes], bytes]] = {
    "header": overwritten(0, 32),
    "early": lambda data: overwritten(len(data) // 10, len(data) // 10 + 64)(data),
    "late": lambda data: overwritten(len(data) * 9 // 10, len(data) * 9 // 10 + 64)(data),
    "cut": lambda data: data[: len(data) // 2 + 77],
    "gone": lambda _: b"",
}


@pytest.mark.parametrize("part", LOG)
def test_a_damaged_log_is_named_until_somebody_accepts_the_loss(tmp_path: Path, part: str) -> None:
    """An agent that went back to an earlier policy without a word might open what was shut."""

    async def nothing(_: SqliteDatastore) -> None:
        return None

    copy = tmp_path / "copy"
    _killed(tmp_path)
    _damage(copy / "db-wal", LOG[part])
    shutil.copy(tmp_path / "db-bell", copy)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"was at 200: its log db-wal was damaged .* remove"):
            run(copy / "db", nothing)
    (copy / "db-bell").unlink()
    run(copy / "db", nothing)


@pytest.mark.parametrize("bell", ["as it was", "of another start", "empty", "nonsense"])
def test_a_log_that_is_whole_is_never_called_damaged(tmp_path: Path, bell: str) -> None:
    """Nor is one after a power cut, which may cost commits."""

    async def whole(opened: SqliteDatastore) -> None:
        assert await opened.revision() >= COUNT // 3

    copy = tmp_path / "copy"
    _killed(tmp_path)
    shutil.copy(tmp_path / "db-bell", copy)
    if bell == "of another start":
        _damage(copy / "db-wal", LOG["cut"])
        _damage(copy / "db-bell", lambda said: said.replace(said.split()[1], b"x" * 36))
    elif bell != "as it was":
        _damage(copy / "db-bell", lambda _: b"" if bell == "empty" else b"\xff a 7 b\n")
    run(copy / "db", whole)


@pytest.mark.parametrize("part", LOG)
def test_a_damaged_log_costs_the_last_commits_and_tears_none(tmp_path: Path, part: str) -> None:
    """The log ends where it can't be read: what comes out is the store as it was at a revision."""
    _killed(tmp_path)
    _damage(tmp_path / "copy" / "db-wal", LOG[part])

    async def whole(opened: SqliteDatastore) -> None:
        await opened.verify()
        revision = await opened.revision()
        assert revision < COUNT
        names = [f"n{number}" for number in range(revision)]
        listing = await opened.list("NetworkSet")
        assert [item.key.name for item in listing.resources] == sorted(names)
        if revision:
            events = await changes_until(opened, KINDS, 0, revision)
            assert [event.key.name for event in events] == names
        with pytest.raises(Gone):
            await first_batch(opened.watch(KINDS, COUNT))
        made = await opened.create(network_set("again"))
        assert await changes_until(opened, KINDS, revision, revision + 1) == [
            Put(made.key, made, revision + 1)
        ]

    run(tmp_path / "copy" / "db", whole)


def test_what_a_killed_process_left_is_read_whole(tmp_path: Path) -> None:
    async def whole(opened: SqliteDatastore) -> None:
        await opened.verify()
        assert len((await opened.list("NetworkSet")).resources) == COUNT

    _killed(tmp_path)
    run(tmp_path / "copy" / "db", whole)


def _damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def _killed(folder: Path) -> None:
    """Leaves in `copy` what a process that is killed after its writes leaves."""

    async def copied(opened: SqliteDatastore) -> None:
        await fill(opened)
        assert (folder / "db-wal").stat().st_size > COUNT * PAGE
        (folder / "copy").mkdir()
        for name in ("db", "db-wal"):
            shutil.copy(folder / name, folder / "copy" / name)

    run(folder / "db", copied)


VERSION_1 = """
CREATE TABLE state (
    identity TEXT NOT NULL, revision INTEGER NOT NULL, compacted INTEGER NOT NULL
);
CREATE TABLE objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, uid TEXT NOT NULL, created TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, name)
);
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, value BLOB
);
INSERT INTO state VALUES ('the-identity', 4, 1);
INSERT INTO changes VALUES
    (2, 'NetworkSet', 'default', 'gone', '{"metadata":{"name":"gone","namespace":"default"}}'),
    (3, 'NetworkSet', 'default', 'gone', NULL),
    (4, 'NetworkSet', 'default', 'a',
     '{"metadata":{"name":"a","namespace":"default","uid":"u"},"spec":{"nets":["10.0.0.0/8"]}}');
INSERT INTO objects SELECT kind, namespace, name, revision, 'u', 't', value FROM changes
    WHERE revision = 4;
PRAGMA application_id = 0x546F7274;
PRAGMA user_version = 1;
"""


def _old_store(path: Path) -> None:
    """As version 1 of the schema stored it."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1.replace("'{", "CAST('{").replace("}'", "}' AS BLOB)"))


def test_a_store_of_the_first_schema_is_read_and_written_on(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        assert await opened.identity() == "the-identity"
        found = await opened.get(Key("NetworkSet", "default", "a"))
        assert found.metadata.resource_version == "4"
        assert [event.revision for event in await changes_until(opened, KINDS, 1, 4)] == [2, 3, 4]
        with pytest.raises(Gone):
            await first_batch(opened.watch(KINDS, 0))
        changed = await opened.update(found)
        assert changed.metadata.resource_version == "5"

    _old_store(tmp_path / "db")
    run(tmp_path / "db", scenario)
    with closing(sqlite3.connect(tmp_path / "db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        logged = database.execute("SELECT logged FROM state").fetchone()
        held = database.execute("SELECT sum(length(value)) FROM changes").fetchone()
        assert logged == held


def test_first_openers_at_once_migrate_a_store_once(tmp_path: Path) -> None:
    async def body() -> None:
        opened = await asyncio.gather(*(SqliteDatastore.open(tmp_path / "db") for _ in range(6)))
        assert {await each.identity() for each in opened} == {"the-identity"}
        await opened[0].create(network_set("b"))
        assert [await each.revision() for each in opened] == [5] * 6
        for each in opened:
            await each.close()

    _old_store(tmp_path / "db")
    asyncio.run(body())


def _on_a_small_disk(folder: Path, script: str) -> str:
    """What a script prints that runs with a disk of its own of 2 MiB at `folder`."""
    mounted = 'mount -t tmpfs -o size=2m none "$0" && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, folder, sys.executable, "-c", script, folder],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.root
def test_a_full_disk_is_named_and_what_was_written_stays(tmp_path: Path) -> None:
    told = _on_a_small_disk(
        tmp_path,
        """
import asyncio, os, sys
from strategies.datastore import network_set
from tortie.datastore import Unavailable
from tortie.datastore.sqlite import SqliteDatastore

async def main():
    store = await SqliteDatastore.open(sys.argv[1] + "/db")
    with open(sys.argv[1] + "/ballast", "wb") as ballast:
        ballast.write(bytes(1_000_000))
    written = []
    try:
        while True:
            wanted = network_set(f"n{len(written)}", app="x" * 9_999)
            written.append((await store.create(wanted)).key)
    except Unavailable as error:
        print(error)
    keys = {item.key for item in (await store.list("NetworkSet")).resources}
    assert keys == set(written), (len(keys), len(written))
    os.unlink(sys.argv[1] + "/ballast")
    await store.create(network_set("more"))
    await store.verify()
    await store.close()

asyncio.run(main())
""",
    )
    assert "db has no room left on its disk: free some" in told


@pytest.mark.root
def test_a_disk_that_became_read_only_is_named(tmp_path: Path) -> None:
    told = _on_a_small_disk(
        tmp_path,
        """
import asyncio, subprocess, sys
from strategies.datastore import network_set
from tortie.datastore import Unavailable
from tortie.datastore.sqlite import SqliteDatastore

async def main():
    store = await SqliteDatastore.open(sys.argv[1] + "/db")
    made = await store.create(network_set("a"))
    await store.close()
    subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
    try:
        await SqliteDatastore.open(sys.argv[1] + "/db")
    except Unavailable as error:
        print(error)
    subprocess.run(["mount", "-o", "remount,rw", sys.argv[1]], check=True)
    store = await SqliteDatastore.open(sys.argv[1] + "/db")
    await store.update(made)
    await store.close()

asyncio.run(main())
""",
    )
    assert "db is read-only" in told
    assert "check the permissions" in told


@pytest.mark.root
def test_a_file_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    async def nothing(_: SqliteDatastore) -> None:
        return None

    run(tmp_path / "db", nothing)
    os.chown(tmp_path / "db", 65534, 65534)
    os.chmod(tmp_path / "db-bell", 0o644)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(folder, 0o755)
    told = _as_nobody(
        f"""
import asyncio
from tortie.datastore import Unavailable
from tortie.datastore.sqlite import SqliteDatastore
try:
    asyncio.run(SqliteDatastore.open({str(tmp_path / "db")!r}))
except Unavailable as error:
    print(error)
"""
    )
    assert "db can't be used: " in told or "db is read-only for user 65534" in told


def _as_nobody(script: str) -> str:
    """What a script prints that an ordinary user runs."""
    child = "import os, sys; os.setgid(65534); os.setuid(65534); exec(sys.argv[1])"
    preload = "import asyncio, tortie.datastore.sqlite.store, tortie.datastore;"
    done = subprocess.run(
        [sys.executable, "-c", preload + child, script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
