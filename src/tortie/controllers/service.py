"""The controllers as a daemon: one process of all leads and runs them; every one has pages."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import structlog

from tortie.controllers import configuration
from tortie.controllers.feed import Feed
from tortie.controllers.given import Given, new_holder
from tortie.controllers.leadership import Leadership, Seat, Standing
from tortie.controllers.metrics import Metrics
from tortie.controllers.pages import Pages
from tortie.controllers.running import Reign
from tortie.controllers.seats import LonelySeat, opened_fenced, opened_seat
from tortie.controllers.settings import Settings
from tortie.daemon.health import Health
from tortie.daemon.log import set_severity
from tortie.daemon.running import run_until, stopped_by_signal, watch_loop
from tortie.datastore import Closed, Datastore, open_datastore
from tortie.datastore.cluster import Locked
from tortie.datastore.settings import DatastoreSettings
from tortie.sync import SyncWarning

_CONFIGURATION, _ELECTION = "configuration", "election"
_log = structlog.get_logger(__name__)


async def serve(given: Given) -> None:
    """Run until a signal asks to stop. Raises OSError where a port can't be had at the start."""
    stop = stopped_by_signal()
    async with AsyncExitStack() as opened:
        watch_loop(opened)
        store = await open_datastore(given.datastore)
        opened.push_async_callback(store.close)
        seat = await opened.enter_async_context(_seat(given))
        daemon = _Daemon(given, store, seat)
        _log.info("started", process=os.getpid())
        await run_until(stop, [daemon.follow, daemon.lead, daemon.serve])
    _log.info("stopped")


@asynccontextmanager
async def _seat(given: Given) -> AsyncIterator[Seat]:
    seconds = given.lease_seconds
    if not given.elected:
        yield LonelySeat(seconds)
        return
    holder = new_holder()
    async with opened_seat(given.datastore, holder, seconds, given.lease_namespace) as seat:
        yield seat


class _Daemon:
    """One process of the controllers."""

    def __init__(self, given: Given, store: Datastore, seat: Seat) -> None:
        self._given, self._store, self._seat = given, store, seat
        self._health, self._metrics = Health(), Metrics()
        self._health.register(_CONFIGURATION, 0, "it was not read yet")
        self._health.register(_ELECTION, 0, "nobody is known to lead yet")
        self._feed = Feed(store, configuration.KINDS, _warn)
        backend = given.sides.backend
        self._settings = configuration.follow(self._feed, given.environ, backend, _take_over)
        self._leadership = Leadership(seat, self._told)
        self._reign: Reign | None = None
        self._standing: Standing | None = None
        self._stores: set[str] = set()
        self._pages = Pages(self._health, self._metrics, self._settings, self._refresh)

    async def follow(self) -> None:
        """Follow the configuration."""
        _take_over(self._settings.current)
        await self._feed.run()
        raise Closed("the datastore was closed here")

    async def serve(self) -> None:
        """Serve the pages."""
        given = self._given
        try:
            await self._pages.serve(given.host, given.health_port, self._feed.in_sync)
        except ExceptionGroup as group:  # `except*` wraps what it raises on early Python 3.11
            problems = group.subgroup(OSError)
            if problems is None:
                raise
            raise problems.exceptions[0] from None

    async def lead(self) -> None:
        """Lead whenever it is our turn."""
        await self._feed.in_sync.wait()
        await self._leadership.lead(self._led)

    async def _led(self) -> None:
        given = self._given
        async with AsyncExitStack() as opened:
            datastore = await opened.enter_async_context(self._fenced(given.datastore))
            kubernetes = None
            if given.kubernetes is not None:
                kubernetes = await opened.enter_async_context(self._fenced(given.kubernetes))
            opened.callback(setattr, self, "_reign", None)
            self._reign = Reign(
                given.sides, datastore, kubernetes, self._settings, self._health, self._metrics
            )
            await self._reign.run()

    def _fenced(self, settings: DatastoreSettings) -> AbstractAsyncContextManager[Datastore]:
        return opened_fenced(settings, self._seat, self._check, self._store)

    def _check(self) -> None:
        """Whether anything may be written now."""
        self._leadership.check()
        if configuration.is_locked(self._feed):
            raise Locked("the datastore is locked, it is being moved elsewhere: nothing is written")

    def _told(self, standing: Standing) -> None:
        """Who waits is ready, too: it would lead at once."""
        if standing != self._standing:
            why = {"problem": standing.problem} if standing.problem else {}
            _log.info("who leads", leader=standing.leader or "this process", **why)
        self._standing = standing
        self._metrics.leading = not standing.leader
        self._health.waiting(_ELECTION, standing.problem)

    def _refresh(self) -> None:
        """What stores say of themselves, at the moment that somebody asks."""
        why = "" if self._feed.in_sync.is_set() else "it was not read yet"
        self._health.waiting(_CONFIGURATION, self._feed.outage or why)
        outages = self._reign.outages() if self._reign else {}
        for name in self._stores | set(outages):
            self._health.register(name, 0, outages.get(name, ""))
        self._stores |= set(outages)


def _take_over(settings: Settings) -> None:
    """What holds for the whole process."""
    set_severity(settings.severity)
    for warning in settings.warnings:
        _log.warning(warning)


def _warn(warning: SyncWarning) -> None:
    _log.warning(str(warning))
