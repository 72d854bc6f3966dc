"""Which datastore a command works on, and how it is opened."""

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tortie.cli.errors import UserError
from tortie.datastore import Datastore, open_datastore

VARIABLE = "TORTIE_DATASTORE"
DEFAULT = "/var/lib/tortie/tortie.db"


def add_option(parser: argparse.ArgumentParser) -> None:
    """`--datastore`."""
    parser.add_argument(
        "--datastore",
        metavar="PATH",
        default=os.environ.get(VARIABLE) or DEFAULT,
        help=f"a path, sqlite:PATH or memory: (default: ${VARIABLE}, else {DEFAULT})",
    )


@asynccontextmanager
async def existing(location: str) -> AsyncIterator[Datastore]:
    """A datastore to look at: looking makes none. Raises UserError where there is none."""
    path = location.removeprefix("sqlite:")
    if ":" not in path and not os.path.exists(path):  # noqa: ASYNC240 - once, at the start
        raise UserError(f"there is no datastore at {path}: name it by --datastore or ${VARIABLE}")
    async with opened(location) as store:
        yield store


@asynccontextmanager
async def opened(location: str) -> AsyncIterator[Datastore]:
    """The datastore, made where there is none, for the length of the block.

    Raises DatastoreError.
    """
    store = await open_datastore(location)
    try:
        yield store
    finally:
        await store.close()
