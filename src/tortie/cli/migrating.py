"""What the commands of `tortie datastore migrate` share: the store, and how far the work is."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tortie.cli import configuration
from tortie.cli.errors import UserError
from tortie.cli.terminal import wants_colour

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from tortie.cli.datastore import Work
    from tortie.datastore.migrate.exporting import Progress

add_options = configuration.add_options


def run_on(options: argparse.Namespace, work: "Work", *, new: bool = False) -> int:
    """Work on the datastore itself, without people's names for policies.

    `new`: it is made where there is none; but to look only, an empty one will do. Raises UserError,
    DatastoreError.
    """
    import asyncio

    from tortie.cli.datastore import opened
    from tortie.cli.versions import check_version
    from tortie.datastore.settings import DatastoreSettings, MemorySettings

    chosen = configuration.chosen_datastore(options)
    if chosen.path and not new and not os.path.exists(chosen.path):
        raise UserError(f"there is no datastore at {chosen.path} ({chosen.origin})")
    settings: DatastoreSettings = chosen.settings
    if chosen.path and new and options.dry_run and not os.path.exists(chosen.path):
        settings = MemorySettings()

    async def run() -> int:
        async with opened(settings) as store:
            await check_version(store, options)
            return await work(store)

    return asyncio.run(run())


class Lines:
    """A line for each part that is done; on stderr, since a file may go to stdout."""

    def __init__(self) -> None:
        self._what, self._count = "", 0

    def begin(self, what: str, total: int | None) -> None:  # noqa: ARG002 - the protocol's
        """A part begins."""
        self._what, self._count = what, 0

    def advance(self, what: str, count: int) -> None:  # noqa: ARG002 - the protocol's
        """More of it is done."""
        self._count += count

    def done(self) -> None:
        """One line, where there was anything."""
        if self._count:
            print(f"{self._what}: {self._count}", file=sys.stderr, flush=True)


class Bar:
    """A bar for the part that is under way, on a terminal."""

    def __init__(self, display: "RichProgress") -> None:
        self._display = display
        self._task: TaskID | None = None

    def begin(self, what: str, total: int | None) -> None:
        """A part begins."""
        self._task = self._display.add_task(what, total=total)

    def advance(self, what: str, count: int) -> None:  # noqa: ARG002 - the protocol's
        """More of it is done."""
        if self._task is not None:
            self._display.advance(self._task, count)

    def done(self) -> None:
        """The part's line goes if nothing was in it."""
        if self._task is None:
            return
        done = self._display.tasks[-1].completed
        self._display.update(self._task, total=max(done, 1), completed=done, visible=bool(done))


@contextmanager
def shown() -> "Iterator[Progress]":
    """The fitting kind of display for the length of the block."""
    if not wants_colour(sys.stderr):
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as display:
        yield Bar(display)
