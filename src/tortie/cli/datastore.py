"""Which datastore a command works on, and how its work is run there."""

import argparse
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tortie.cli.configuration import Chosen, chosen_datastore
from tortie.cli.errors import UserError
from tortie.cli.versions import check_version
from tortie.datastore import Datastore, open_datastore
from tortie.datastore.either_name import EitherName
from tortie.datastore.settings import DatastoreSettings, SqliteSettings

Work = Callable[[Datastore], Coroutine[Any, Any, int]]
"""What a command does with an open datastore; its exit status."""


def look_into(options: argparse.Namespace, work: Work) -> int:
    """As `read_from`, whatever release the cluster is of."""
    return _run(_existing(options), work)


def read_from(options: argparse.Namespace, work: Work) -> int:
    """Work on a datastore that is there: looking makes none. Raises UserError, DatastoreError."""
    return _run(_existing(options), _of_same_version(options, work))


def write_to(options: argparse.Namespace, work: Work) -> int:
    """Work on the datastore, made where there is none. Raises UserError, DatastoreError."""
    return _run(chosen_datastore(options).settings, _of_same_version(options, work))


def follow(options: argparse.Namespace, work: Work) -> int:
    """As `read_from`, for work that watches, or that waits for a lost race to be run again."""
    return _run_waiting(_existing(options), _of_same_version(options, work))


def _of_same_version(options: argparse.Namespace, work: Work) -> Work:
    async def checked(store: Datastore) -> int:
        await check_version(store, options)
        return await work(store)

    return checked


def _existing(options: argparse.Namespace) -> DatastoreSettings:
    chosen = chosen_datastore(options)
    if chosen.path and not os.path.exists(chosen.path):
        raise _none_there(chosen)
    return chosen.settings


def _none_there(chosen: Chosen) -> UserError:
    return UserError(
        f"there is no datastore at {chosen.path} ({chosen.origin}): name it by --datastore, or"
        " apply something to make it"
    )


def _run(settings: DatastoreSettings, work: Work) -> int:
    """Without an event loop where the datastore needs none: loading one takes longer than `get`."""
    if not isinstance(settings, SqliteSettings):
        return _run_waiting(settings, work)
    from tortie.datastore.sqlite.direct import DirectDatastore

    return _at_once(_closing(DirectDatastore(Path(settings.path)), work))


def _run_waiting(settings: DatastoreSettings, work: Work) -> int:
    import asyncio

    async def opened() -> int:
        return await _closing(await open_datastore(settings), work)

    return asyncio.run(opened())


async def _closing(store: Datastore, work: Work) -> int:
    try:
        return await work(EitherName(store))
    finally:
        await store.close()


def _at_once(coroutine: Coroutine[Any, Any, int]) -> int:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: int = ended.value
        return result
    raise RuntimeError("a command waited outside of an event loop")


@asynccontextmanager
async def opened(wanted: str | Path | DatastoreSettings) -> AsyncIterator[Datastore]:
    """The datastore for the length of the block, made where there is none.

    Raises DatastoreError.
    """
    store = await open_datastore(wanted)
    try:
        yield store
    finally:
        await store.close()
