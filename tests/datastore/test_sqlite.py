"""What only the SQLite store promises: files, processes, damage, wake-ups."""

import asyncio
import signal
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from strategies.datastore import changes_until, first_batch, global_network_set, network_set
from tortie.api import Key
from tortie.datastore import DatastoreError, Gone, Put, Unavailable, open_datastore
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.sqlite import SqliteDatastore, bell, files
from tortie.datastore.sqlite.session import History

KINDS = ["NetworkSet"]
KEY = Key("NetworkSet", "default", "a")


def run(path: Path, scenario: Callable[[SqliteDatastore], Awaitable[None]]) -> None:
    async def body() -> None:
        opened = await SqliteDatastore.open(path)
        try:
            await scenario(opened)
        finally:
            await opened.close()

    asyncio.run(body())


def remove_all(folder: Path) -> None:
    """Remove the store's files while they are in use."""
    for file in folder.iterdir():
        file.unlink()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "db"

    async def scenario(opened: SqliteDatastore) -> None:
        await opened.create(network_set("a"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert modes == dict.fromkeys(("db", "db-bell", "db-shm", "db-wal"), 0o600)
        assert path.parent.stat().st_mode & 0o777 == 0o700

    run(path, scenario)


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    async def write(opened: SqliteDatastore) -> None:
        await opened.create(network_set("a"))

    async def read(opened: SqliteDatastore) -> None:
        assert (await opened.get(KEY)).metadata.name == "a"
        assert await opened.revision() == 1

    run(tmp_path / "db", write)
    run(tmp_path / "db", read)


def test_a_commit_elsewhere_wakes_a_watch(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        other = await SqliteDatastore.open(tmp_path / "db")
        watch = opened.watch(KINDS, 0)
        for number in range(1, 20):
            waiting = asyncio.ensure_future(first_batch(watch))
            await asyncio.sleep(random_pause(number))
            made = await other.create(network_set(f"n{number}"))
            assert (await waiting).events == (Put(made.key, made, number),)
        await other.close()

    run(tmp_path / "db", scenario)


def random_pause(number: int) -> float:
    """Sometimes the watch is already waiting, sometimes it only starts to."""
    return (number % 4) * 0.0005


def test_a_commit_whose_writer_died_before_the_bell_is_heard(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        waiting = asyncio.ensure_future(first_batch(opened.watch(KINDS, 0)))
        await asyncio.sleep(0.01)
        dying = await asyncio.create_subprocess_exec(sys.executable, "-c", _DYING, tmp_path / "db")
        assert (await waiting).revision == 1
        assert await dying.wait() == -signal.SIGKILL

    run(tmp_path / "db", scenario)


_DYING = """
import asyncio, os, signal, sys
from tortie.api import NetworkSet, NetworkSetSpec, ObjectMeta
from tortie.datastore.sqlite import SqliteDatastore, clapper

async def main():
    store = await SqliteDatastore.open(sys.argv[1])
    clapper.os.pwrite = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    metadata = ObjectMeta(name="a", namespace="default")
    await store.create(NetworkSet(metadata=metadata, spec=NetworkSetSpec()))

asyncio.run(main())
"""


def test_a_bell_that_was_removed_is_hung_up_again(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        other = await SqliteDatastore.open(tmp_path / "db")
        await other.create(network_set("before"))
        async with aclosing(opened.watch(KINDS, 1)) as watch:
            for number in range(2, 6):
                waiting = asyncio.ensure_future(first_batch(watch))
                await asyncio.sleep(0.01)
                (tmp_path / "db-bell").unlink()
                await asyncio.sleep(0.01 * (number % 2))
                await other.create(network_set(f"n{number}"))
                assert (await waiting).revision == number
        await other.close()

    run(tmp_path / "db", scenario)


def test_watches_work_where_the_kernel_has_no_inotify_to_spare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: Path) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(bell, "_inotify", none_left)

    async def scenario(opened: SqliteDatastore) -> None:
        waiting = asyncio.ensure_future(first_batch(opened.watch(KINDS, 0)))
        await asyncio.sleep(0.01)
        await opened.create(network_set("a"))
        assert (await waiting).revision == 1

    run(tmp_path / "db", scenario)


def test_first_openers_at_once_make_one_store(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def write(name: str) -> None:
        async def scenario(opened: SqliteDatastore) -> None:
            await opened.create(network_set(name))

        try:
            run(tmp_path / "db", scenario)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(f"n{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def scenario(opened: SqliteDatastore) -> None:
        assert len((await opened.list("NetworkSet")).resources) == 8
        assert await opened.revision() == 8

    assert failures == []
    run(tmp_path / "db", scenario)


@pytest.mark.parametrize(
    ("history", "most"), [(History(bytes=100_000), 115_000), (History(changes=50), 306 * 1_300)]
)
def test_the_change_log_is_bounded(tmp_path: Path, history: History, most: int) -> None:
    async def body() -> None:
        opened = await SqliteDatastore.open(tmp_path / "db", history)
        made = await opened.create(network_set("a", app="x" * 1000))
        for _ in range(600):
            made = await opened.update(made)
        assert len(await changes_until(opened, KINDS, 560, 601)) == 41
        with pytest.raises(Gone):
            await first_batch(opened.watch(KINDS, 1))
        await opened.close()

    asyncio.run(body())
    with closing(sqlite3.connect(tmp_path / "db")) as database:
        held = "SELECT sum(length(value)), min(revision), max(revision), count(*) FROM changes"
        kept, first, last, count = database.execute(held).fetchone()
        compacted, logged = database.execute("SELECT compacted, logged FROM state").fetchone()
    assert kept <= most
    assert (compacted, logged, last - compacted) == (first - 1, kept, count)


def test_a_change_larger_than_the_log_is_told_nevertheless(tmp_path: Path) -> None:
    async def body() -> None:
        opened = await SqliteDatastore.open(tmp_path / "db", History(bytes=1_000))
        made = await opened.create(network_set("a", app="x" * 2_000))
        made = await opened.update(made)
        assert await changes_until(opened, KINDS, 1, 2) == [Put(made.key, made, 2)]
        await opened.close()

    asyncio.run(body())


def test_a_writer_that_holds_the_lock_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.05)

    async def scenario(opened: SqliteDatastore) -> None:
        other = sqlite3.connect(tmp_path / "db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked by another process"):
            await opened.create(network_set("a"))
        other.execute("ROLLBACK")
        other.close()
        await opened.create(network_set("a"))

    run(tmp_path / "db", scenario)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"certainly not a database\n" * 1000)
    with pytest.raises(Unavailable, match=r"db is damaged"):
        run(tmp_path / "db", _nothing)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(Unavailable, match="another program"):
        run(tmp_path / "db", _nothing)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "db", _nothing)
    with sqlite3.connect(tmp_path / "db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(Unavailable, match=r"schema version 99.*newer release"):
        run(tmp_path / "db", _nothing)


def test_a_removed_store_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        await opened.create(network_set("a"))
        remove_all(tmp_path)
        for _ in range(2):
            with pytest.raises(Unavailable, match="removed"):
                await opened.list("NetworkSet")

    run(tmp_path / "db", scenario)
    assert list(tmp_path.iterdir()) == []


def test_a_store_put_in_place_of_another_is_refused(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        await opened.create(network_set("a"))
        remove_all(tmp_path)
        await (await SqliteDatastore.open(tmp_path / "db")).close()
        with pytest.raises(Unavailable, match="removed or replaced"):
            await opened.list("NetworkSet")
        with pytest.raises(Unavailable, match="another datastore"):
            await opened.list("NetworkSet")

    run(tmp_path / "db", scenario)


@pytest.mark.parametrize("moved", ["a/b/db", "a/b", "a"])
def test_a_store_that_is_taken_away_ends_its_watches(tmp_path: Path, moved: str) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        waiting = asyncio.ensure_future(first_batch(opened.watch(KINDS, 0)))
        await asyncio.sleep(0.05)
        (tmp_path / moved).rename(tmp_path / "elsewhere")
        with pytest.raises(Unavailable, match="removed or replaced"):
            await waiting
        (tmp_path / "elsewhere").rename(tmp_path / moved)
        made = await opened.create(network_set("a"))
        assert await changes_until(opened, KINDS, 0, 1) == [Put(made.key, made, 1)]

    (tmp_path / "a").mkdir()
    run(tmp_path / "a" / "b" / "db", scenario)


def test_a_removed_store_ends_its_watches(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        waiting = asyncio.ensure_future(first_batch(opened.watch(KINDS, 0)))
        await asyncio.sleep(0.01)
        remove_all(tmp_path)
        with pytest.raises(Unavailable, match="removed or replaced"):
            await waiting

    run(tmp_path / "db", scenario)


def test_a_restored_store_is_used_again(tmp_path: Path) -> None:
    async def scenario(opened: SqliteDatastore) -> None:
        made = await opened.create(network_set("a"))
        other = sqlite3.connect(tmp_path / "db")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        copy = (tmp_path / "db").read_bytes()
        remove_all(tmp_path)
        with pytest.raises(Unavailable, match="removed"):
            await opened.get(KEY)
        (tmp_path / "db").write_bytes(copy)
        assert await opened.get(KEY) == made
        assert len(await changes_until(opened, KINDS, 0, 1)) == 1

    run(tmp_path / "db", scenario)


def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"file/db can't be used"):
        run(tmp_path / "file" / "db", _nothing)


def test_locations_name_datastores(tmp_path: Path) -> None:
    async def body() -> None:
        for location in (f"sqlite:{tmp_path}/a", str(tmp_path / "b"), tmp_path / "c:d"):
            opened = await open_datastore(location)
            assert isinstance(opened, SqliteDatastore)
            await opened.create(global_network_set("x"))
            await opened.close()
        assert isinstance(await open_datastore("memory:"), MemoryDatastore)
        for wrong in ("etcd:localhost", "sqlite:", "memory:x"):
            with pytest.raises(DatastoreError, match="names no datastore"):
                await open_datastore(wrong)

    asyncio.run(body())
    assert {"a", "b", "c:d"} <= {file.name for file in tmp_path.iterdir()}


async def _nothing(_: SqliteDatastore) -> None:
    return None
