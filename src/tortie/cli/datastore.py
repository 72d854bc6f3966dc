"""Which datastore a command works on, and how it is opened."""

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
async def opened(location: str) -> AsyncIterator[Datastore]:
    """The datastore, open for the length of the block. Raises DatastoreError."""
    store = await open_datastore(location)
    try:
        yield store
    finally:
        await store.close()
