"""The agent as a daemon: its sockets and pages around it, and an orderly end.

On SIGTERM or SIGINT the sockets close and the tasks end; what is in the kernel stays, so that the
next agent adopts it.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack

import structlog

from tortie.agent.agent import Agent
from tortie.agent.control import ControlServer, Reply, Request, failure
from tortie.agent.http import HttpServer, Pages
from tortie.agent.waiters import NotReady
from tortie.agent.watchdog import LoopWatchdog

_STALL = 10.0  # seconds that the event loop may stand still before its stack is logged
_WAIT = 10.0  # seconds, for a "wait" that names none

_log = structlog.get_logger(__name__)


Service = Callable[[], Coroutine[object, object, None]]


async def serve(
    agent: Agent,
    control: ControlServer,
    services: Sequence[Service] = (),
) -> None:
    """Run the agent and `services` until a signal asks to stop. Raises OSError, or what a
    service raised."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as opened:
        await _open(agent, control, opened)
        _log.info("started", node=agent.config.node, process=os.getpid())
        await _until(stop, [agent.run, *services])
    _log.info("stopped; what is programmed stays in force")


async def _open(agent: Agent, control: ControlServer, opened: AsyncExitStack) -> None:
    watchdog = LoopWatchdog(_STALL, _stalled)
    watchdog.start()
    opened.callback(watchdog.stop)
    config, health = agent.config, agent.health
    if config.health_enabled:
        pages: Pages = {"/liveness": health.liveness, "/readiness": health.readiness}
        await _listen(pages, config.health_host, config.health_port, opened)
    if config.metrics_enabled:
        metrics: Pages = {"/metrics": agent.metrics.page}
        await _listen(metrics, config.metrics_host, config.metrics_port, opened)
    register_verbs(agent, control)
    await control.start()
    opened.push_async_callback(control.close)


async def _listen(pages: Pages, host: str, port: int, opened: AsyncExitStack) -> None:
    server = HttpServer(pages)
    await server.start(host, port)
    opened.push_async_callback(server.close)


async def _until(stop: asyncio.Event, work: Sequence[Service]) -> None:
    """Run `work` until `stop` is set, or until one of it ends by itself."""
    tasks = [asyncio.create_task(one()) for one in work]
    stopper = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopper, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopper, *tasks):
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


def register_verbs(agent: Agent, control: ControlServer) -> None:
    """Have the control socket answer "status" and "wait"."""

    async def status(_: Request) -> Reply:
        return {
            "ok": True,
            "node": agent.config.node,
            "process": os.getpid(),
            "revision": agent.revision,
            "in_sync": agent.in_sync,
            "ready": agent.health.is_ready,
            "waiting_for": agent.health.not_ready(),
            "endpoints": agent.last_turn.counts.local_endpoints,
            "policies": agent.last_turn.counts.local_policies,
            "failures": [one._asdict() for one in agent.failures],
            "warnings": list(agent.warnings),
        }

    async def wait(request: Request) -> Reply:
        revision, within = request.get("revision", 0), request.get("timeout", _WAIT)
        if not isinstance(revision, int) or not isinstance(within, int | float):
            return failure('"revision" is a whole number, "timeout" seconds')
        try:
            await agent.wait_applied(revision, within)
        except NotReady as problem:
            return failure(str(problem))
        return {"ok": True, "revision": agent.revision}

    control.register("status", status)
    control.register("wait", wait)


def _stalled(seconds: float, stack: str) -> None:
    _log.error("the event loop stands still", seconds=round(seconds, 1), stack=stack)
