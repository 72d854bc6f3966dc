"""An import that is killed at any moment goes on, and nodes never follow the half of it."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

from strategies.migrations import cluster, contents, exported, fill
from tortie.api import KINDS
from tortie.datastore import open_datastore
from tortie.datastore.cluster import CLUSTER
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.migrate.locking import is_locked, mark_on

_POLICIES = 600
_KILLS = int(os.environ.get("TORTIE_IMPORT_KILLS", "20"))
_SECONDS = 60


def test_an_import_goes_on_after_each_of_many_kills(tmp_path: Path):
    file = tmp_path / "export"
    file.write_bytes(asyncio.run(_export()))
    database = asyncio.run(_kill_often(tmp_path, file))
    done = subprocess.run(
        _command(database, file), capture_output=True, timeout=_SECONDS, text=True
    )
    assert done.returncode == 0, done.stderr
    asyncio.run(_equal(database))
    again = subprocess.run(
        _command(database, file), capture_output=True, timeout=_SECONDS, text=True
    )
    assert "equal already" in again.stdout


def _command(database: Path, file: Path) -> list[str]:
    which = ("--datastore", f"sqlite:{database}", "-f", str(file))
    return [sys.executable, "-m", "tortie.cli", "datastore", "migrate", "import", *which]


async def _export() -> bytes:
    source = MemoryDatastore()
    await fill(source, cluster(_POLICIES))
    return await exported(source)


async def _kill_often(folder: Path, file: Path) -> Path:
    """Kill imports until that has been done often enough; the store of the last one."""
    chance = random.Random(_KILLS)
    killed = stores = 0
    while killed < _KILLS:
        database, stores = folder / f"store-{stores}" / "tortie.db", stores + 1
        while killed < _KILLS and await _run_until(database, file, chance.randint(1, 60)):
            killed += 1
            await _check_safe(database)
        assert stores < _KILLS, "imports end before they are killed: import more objects"
    return database


async def _check_safe(database: Path) -> None:
    """Whatever is there, nobody follows it yet."""
    target = await open_datastore(database)
    held = await contents(target)
    if held.keys() - {CLUSTER}:
        assert await is_locked(target)
        assert await mark_on(target) or len(held) == _POLICIES + len(cluster(0)) + 4
    await target.close()


async def _run_until(database: Path, file: Path, until: int) -> bool:
    """Run an import for about so many writes; whether it was killed."""
    store = await open_datastore(database)
    until += await store.revision()
    quiet = subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *_command(database, file), stdout=quiet, stderr=quiet
    )
    try:
        ended = asyncio.create_task(process.wait())
        reached = asyncio.create_task(_reached(store, until))
        both = (ended, reached)
        await asyncio.wait(both, timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        return await ended == -signal.SIGKILL
    finally:
        await store.close()


async def _reached(store, revision: int) -> None:
    async with aclosing(store.watch(list(KINDS), 0)) as batches:
        async for batch in batches:
            if batch.revision >= revision:
                return


async def _equal(database: Path) -> None:
    source = MemoryDatastore()
    await fill(source, cluster(_POLICIES))
    target = await open_datastore(database)
    assert not await mark_on(target)
    assert await is_locked(target)
    before, after = await contents(source, [CLUSTER.kind]), await contents(target, [CLUSTER.kind])
    assert before == after
    await target.close()
