"""The controllers as a daemon: a pass from time to time, and pages that tell of it."""

import asyncio
import os
from contextlib import AsyncExitStack

import structlog

from tortie.controllers.collector import Collector, Pass
from tortie.controllers.metrics import Metrics
from tortie.controllers.settings import Settings, read_settings
from tortie.daemon.health import Health
from tortie.daemon.running import listen, run_until, stopped_by_signal, watch_loop
from tortie.datastore import Datastore, DatastoreError
from tortie.ipam import IpamError

_PART = "collection of leaked addresses"
_AFTER_FAILURE = 10.0  # seconds

_log = structlog.get_logger(__name__)


async def serve(settings: Settings, store: Datastore, host: str, health_port: int) -> None:
    """Run until a signal asks to stop. Raises OSError where a port can't be had."""
    stop = stopped_by_signal()
    async with AsyncExitStack() as opened:
        watch_loop(opened)
        health, metrics = Health(), Metrics()
        health.register(_PART, 0, "the first pass is not over yet")
        if settings.health:
            pages = {"/liveness": health.liveness, "/readiness": health.readiness}
            await listen(pages, host, health_port, opened)
        if settings.metrics_port:
            await listen({"/metrics": metrics.page}, host, settings.metrics_port, opened)
        _log.info("started", grace=settings.grace, process=os.getpid())
        collector = Collector(store, settings.grace)
        await run_until(stop, [lambda: _passes(store, collector, health, metrics)])
    _log.info("stopped")


async def _passes(store: Datastore, collector: Collector, health: Health, metrics: Metrics) -> None:
    """One after the other. A datastore that is away is waited for; what was seen is remembered."""
    while True:
        try:
            settings = await read_settings(store)
            collector.grace = settings.grace
            done = await collector.collect()
        except (DatastoreError, IpamError) as problem:
            metrics.failed()
            health.waiting(_PART, str(problem))
            _log.warning("leaked addresses could not be collected", problem=str(problem))
            await asyncio.sleep(_AFTER_FAILURE)
            continue
        metrics.note(done)
        health.ready(_PART)
        _tell(done)
        await asyncio.sleep(settings.period)


def _tell(done: Pass) -> None:
    if done.released or done.given_up:
        _log.info(
            "collected",
            released=[str(one) for one in done.released[:20]],
            addresses=len(done.released),
            blocks=done.given_up,
        )
