"""The pages of one process: health, metrics, and where its tasks stand; each where settings say."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from types import FrameType
from typing import Any

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
        """Until cancelled. What is no health begins when the settings are `known`: the cluster's.

        Raises OSError where a port of health can't be had. What fails with another page is tried
        again, and takes no other with it.
        """
        settings = self._settings
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve_health(host, health_port))
            await known.wait()
            for served, port in (
                ({"/metrics": self._metrics.page}, lambda: settings.current.metrics_port),
                ({"/debug/tasks": tasks_page}, lambda: settings.current.profile_port),
            ):
                group.create_task(self._serve_where(served, host, port))

    async def _serve_health(self, host: str, port: int) -> None:
        served: Served = {"/liveness": self._liveness, "/readiness": self._readiness}
        await self._while_same(served, host, lambda: port if self._settings.current.health else 0)

    async def _serve_where(self, served: Served, host: str, port_of: Callable[[], int]) -> None:
        """On the port of the moment, as soon as it can be had."""
        while True:
            try:
                await self._while_same(served, host, port_of)
            except OSError as problem:
                _log.error("a page can't be served", pages=list(served), problem=str(problem))
                await asyncio.sleep(_AFTER_FAILURE)

    async def _while_same(self, served: Served, host: str, port_of: Callable[[], int]) -> None:
        """On one port after another; 0 is nowhere. Raises OSError."""
        while True:
            port = port_of()
            async with AsyncExitStack() as opened:
                if port:
                    await listen(served, host, port, opened)
                while port_of() == port:
                    await self._settings.changed()

    def _liveness(self) -> Answer:
        self._refresh()
        return self._health.liveness()

    def _readiness(self) -> Answer:
        self._refresh()
        return self._health.readiness()


def tasks_page() -> Answer:
    """Where each task of the process waits: what one asks a profile for, of a daemon that hangs."""
    tasks = sorted(asyncio.all_tasks(), key=lambda one: one.get_name())
    told = (
        f"{task.get_name()}\n{''.join(map(_line, _awaited(task.get_coro())))}" for task in tasks
    )
    return Answer(200, "\n".join(told).encode())


def _awaited(waiting: Any) -> Iterator[FrameType]:
    """What a coroutine waits in, from the outside in: its task's own stack has the first only."""
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
        if frame is not None:
            yield frame
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)


def _line(frame: FrameType) -> str:
    return f"  {frame.f_code.co_qualname} line {frame.f_lineno}\n"
