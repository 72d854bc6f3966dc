"""What the `tortie lab` commands share."""

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

from tortie.api.manifests import Manifests
from tortie.cli import sources
from tortie.cli.terminal import warn
from tortie.cli.writing import Outcome
from tortie.datastore import Datastore
from tortie.lab.cluster import Lab
from tortie.lab.journal import exclusive
from tortie.lab.plan import DEFAULT_NAME
from tortie.lab.progress import Progress, Silent
from tortie.lab.requirements import check_requirements

BUILT_IN = Path(__file__).parent.parent / "lab" / "demo"


def add_name_option(parser: argparse.ArgumentParser) -> None:
    """`--name`: several labs can be up at once."""
    parser.add_argument("--name", default=DEFAULT_NAME, help=f"which lab (default: {DEFAULT_NAME})")


@asynccontextmanager
async def using(name: str, progress: Progress | None = None) -> AsyncIterator[Lab]:
    """A lab that is up, to look at. Raises LabError."""
    check_requirements()
    lab = await Lab.load(name, progress or Silent())
    try:
        yield lab
    finally:
        await lab.close()


@asynccontextmanager
async def changing(name: str, progress: Progress | None = None) -> AsyncIterator[Lab]:
    """A lab that is up, with no other command changing it meanwhile. Raises LabError."""
    check_requirements()
    with exclusive(name, lambda: warn(f"another command is changing lab {name!r}; waiting")):
        async with using(name, progress) as lab:
            yield lab


async def timed(
    lab: Lab, write: Callable[[Datastore], Awaitable[Sequence[Outcome]]]
) -> tuple[Sequence[Outcome], float]:
    """Write to the lab's datastore; what happened, and the seconds until every node enforces it."""
    start = perf_counter()
    done = await write(lab.store)
    await lab.await_applied()
    return done, perf_counter() - start


async def unwritten(lab: Lab, filenames: Sequence[str], namespace: str) -> Manifests:
    """The resources of files, checked against the lab."""
    return await sources.with_known_namespaces(lab.store, sources.read(filenames, namespace))
