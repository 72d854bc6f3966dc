"""The fan-out server as a daemon: its pages around it, and an end that other servers can bear."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from tortie.daemon.health import Health
from tortie.daemon.http import Pages
from tortie.daemon.running import Service, listen, run_until, stopped_by_signal, watch_loop
from tortie.datastore import Datastore
from tortie.fanout.metrics import Metrics
from tortie.fanout.names import BGP, FELIX, TUNNEL
from tortie.fanout.rebalancing import watch_share
from tortie.fanout.server import FanoutServer
from tortie.fanout.server_settings import ServerSettings
from tortie.fanout.upstream import Admit
from tortie.sync import BGP_KINDS, FELIX_KINDS, TUNNEL_KINDS, Syncer, SyncWarning

_BEAT = 1.0  # seconds
_STUCK = 60.0  # seconds without a beat: the orchestrator may restart us

_log = structlog.get_logger(__name__)


async def serve(settings: ServerSettings, store: Datastore) -> None:
    """Run until a signal asks to stop, then let clients go one by one; a second one ends that.

    Raises OSError where a port can't be had, and what a defect raised.
    """
    stop = stopped_by_signal()
    async with AsyncExitStack() as opened:
        watch_loop(opened)
        server = FanoutServer(settings, _sources(store))
        opened.push_async_callback(server.close)
        port = await server.start()
        health = Health()
        await _pages(settings, server, health, opened)
        _log.info("started", port=port, tls=settings.tls is not None, process=os.getpid())
        await run_until(stop, _work(settings, store, server, health))
        stop.clear()
        _log.info("stopping; clients are sent to other servers", clients=server.active)
        await run_until(stop, [server.drain])
    _log.info("stopped")


def _sources(store: Datastore) -> dict[str, Callable[[Admit], Syncer]]:
    kinds = {FELIX: FELIX_KINDS, BGP: BGP_KINDS, TUNNEL: TUNNEL_KINDS}
    return {name: _source(store, wanted) for name, wanted in kinds.items()}


def _source(store: Datastore, kinds: tuple[str, ...]) -> Callable[[Admit], Syncer]:
    return lambda admit: Syncer(store, kinds, on_warning=_warn, admit=admit)


def _warn(warning: SyncWarning) -> None:
    _log.warning("something can't be used as it is", problem=str(warning))


async def _pages(
    settings: ServerSettings,
    server: FanoutServer,
    health: Health,
    opened: AsyncExitStack,
) -> None:
    if settings.health_enabled:
        pages: Pages = {"/liveness": health.liveness, "/readiness": health.readiness}
        await listen(pages, settings.health_host, settings.health_port, opened)
    if settings.metrics_enabled:
        metrics = Metrics(server, process_metrics=settings.process_metrics_enabled)
        await listen(
            {"/metrics": metrics.page}, settings.metrics_host, settings.metrics_port, opened
        )


def _work(
    settings: ServerSettings, store: Datastore, server: FanoutServer, health: Health
) -> list[Service]:
    def set_limit(limit: int) -> None:
        server.limit = limit

    work: list[Service] = [server.run, lambda: _beat(server, health)]
    if settings.rebalancing:
        work.append(lambda: watch_share(store, settings, set_limit))
    return work


async def _beat(server: FanoutServer, health: Health) -> None:
    """What the pages say: live while the loop turns, ready while the datastore is followed."""
    agents = server.upstream(FELIX)  # the one that will be asked for: do not begin at the first
    health.register("server", _STUCK, "")
    health.register("datastore", 0, "the first complete picture is not here yet")
    while True:
        health.alive("server")
        if agents.outage:
            health.waiting("datastore", agents.outage.reason)
        elif agents.ready.is_set():
            health.ready("datastore")
        await asyncio.sleep(_BEAT)
