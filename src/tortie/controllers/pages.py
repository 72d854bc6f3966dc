"""The pages of one process: health, metrics, and where its tasks stand; each where settings say."""

import asyncio
import io
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import structlog

from tortie.controllers.live import Live
from tortie.controllers.metrics import Metrics
from tortie.controllers.settings import Settings
from tortie.daemon.health import Health
from tortie.daemon.http import Answer
from tortie.daemon.http import Pages as Served
from tortie.daemon.running import listen

_AFTER_FAILURE = 5.0  # seconds
_log = structlog.get_logger(__name__)


class _Ports(NamedTuple):
    """Where pages are; 0: nowhere."""

    health: int
    metrics: int
    profile: int


class Pages:
    """Serves them. `refresh` brings health up to date; it is called with each question."""

    def __init__(
        self,
        health: Health,
        metrics: Metrics,
        settings: Live[Settings],
        refresh: Callable[[], None],
    ) -> None:
        self._health, self._metrics, self._settings = health, metrics, settings
        self._refresh = refresh

    async def serve(self, host: str, health_port: int, known: asyncio.Event) -> None:
        """Until cancelled. Metrics begin when `known` says that the settings are the cluster's.

        Raises OSError where the first port can't be had; a later one is tried again.
        """
        first = True
        while True:
            ports = self._ports(health_port, known)
            try:
                async with AsyncExitStack() as opened:
                    await self._open(host, ports, opened)
                    first = False
                    while self._ports(health_port, known) == ports:
                        await self._changed(known)
            except OSError as problem:
                if first:
                    raise
                _log.error("a page can't be served", ports=ports._asdict(), problem=str(problem))
                await asyncio.sleep(_AFTER_FAILURE)

    def _ports(self, health_port: int, known: asyncio.Event) -> _Ports:
        settings = self._settings.current
        if not known.is_set():
            return _Ports(health_port if settings.health else 0, 0, 0)
        health = health_port if settings.health else 0
        return _Ports(health, settings.metrics_port, settings.profile_port)

    async def _changed(self, known: asyncio.Event) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._settings.changed())]
        if not known.is_set():
            waits.append(asyncio.ensure_future(known.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _open(self, host: str, ports: _Ports, opened: AsyncExitStack) -> None:
        health: Served = {"/liveness": self._liveness, "/readiness": self._readiness}
        for port, pages in (
            (ports.health, health),
            (ports.metrics, {"/metrics": self._metrics.page}),
            (ports.profile, {"/debug/tasks": tasks_page}),
        ):
            if port:
                await listen(pages, host, port, opened)

    def _liveness(self) -> Answer:
        self._refresh()
        return self._health.liveness()

    def _readiness(self) -> Answer:
        self._refresh()
        return self._health.readiness()


def tasks_page() -> Answer:
    """Where each task of the process waits: what one asks a profile for, of a daemon that hangs."""
    told = io.StringIO()
    for task in sorted(asyncio.all_tasks(), key=lambda one: one.get_name()):
        task.print_stack(file=told)
        told.write("\n")
    return Answer(200, told.getvalue().encode())
