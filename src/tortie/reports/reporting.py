"""A daemon's signs of life: its report is said anew now and then, and at once when it changes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from tortie.datastore.contract import DatastoreError
from tortie.datastore.settings import DatastoreSettings
from tortie.reports.report import Report
from tortie.reports.shelf import Shelf, opened_shelf

_AGAIN = 5.0  # seconds before a datastore that is away is tried again, at least
_OFF = 30.0  # seconds between looks at whether it is wanted, while it is not

_log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """Seconds between reports (0: none at all), after which one counts no more, and between looks
    at whether there is something new to say."""

    every: float
    counts: float
    look: float = 0.5


class Reporting:
    """`compose` says how the daemon is now; `pace` may change at any time."""

    def __init__(
        self,
        settings: DatastoreSettings,
        compose: Callable[[], Awaitable[Report]],
        pace: Callable[[], Pace],
    ) -> None:
        self._settings, self._compose, self._pace = settings, compose, pace
        self._said: Report | None = None
        self._next = 0.0
        self._quiet = False

    async def run(self) -> None:
        """For ever. A datastore that is away is tried again; nothing else waits for it."""
        while True:
            try:
                async with AsyncExitStack() as opened:
                    await self._go_on(opened)
            except (DatastoreError, OSError, ValueError) as problem:
                self._tell(problem)
                await asyncio.sleep(max(_AGAIN, self._pace().every))

    async def _go_on(self, opened: AsyncExitStack) -> None:
        shelf: Shelf | None = None
        while True:
            pace = self._pace()
            if pace.every <= 0:
                await asyncio.sleep(_OFF)
                continue
            if shelf is None:
                shelf = await opened.enter_async_context(opened_shelf(self._settings))
            await self._say(shelf, pace)
            await asyncio.sleep(min(pace.look, pace.every))

    async def _say(self, shelf: Shelf, pace: Pace) -> None:
        report, now = await self._compose(), asyncio.get_running_loop().time()
        if report == self._said and now < self._next:
            return
        await shelf.put(report.stamped(datetime.now(UTC), max(pace.counts, pace.every)))
        self._said, self._next, self._quiet = report, now + pace.every, False

    def _tell(self, problem: Exception) -> None:
        """Once, until it works again."""
        if not self._quiet:
            _log.warning("this node's state can't be reported", problem=str(problem))
        self._quiet = True
