"""The agent as a daemon: its sockets and pages around it, and an orderly end.

On SIGTERM or SIGINT the sockets close and the tasks end; what is in the kernel stays, so that the
next agent adopts it.
"""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec
import structlog

from tortie.agent.agent import Agent
from tortie.agent.control import ControlServer, Reply, Request, failure
from tortie.agent.waiters import NotReady, Stopping
from tortie.daemon.http import Pages
from tortie.daemon.running import Service, listen, run_until, stopped_by_signal, watch_loop

_PROBLEMS = 100  # that a status shows
_WAIT = 10.0  # seconds, for a "wait" that names none

_log = structlog.get_logger(__name__)


async def serve(
    agent: Agent,
    control: ControlServer,
    services: Sequence[Service] = (),
) -> None:
    """Run the agent and `services` until a signal asks to stop. Raises OSError, or what a
    service raised."""
    stop = stopped_by_signal()
    async with AsyncExitStack() as opened:
        await _open(agent, control, opened)
        _log.info("started", node=agent.config.felix_hostname, process=os.getpid())
        await run_until(stop, [agent.run, *services])
    _log.info("stopped; what is programmed stays in force")


async def _open(agent: Agent, control: ControlServer, opened: AsyncExitStack) -> None:
    watch_loop(opened)
    config, health = agent.config, agent.health
    if config.health_enabled:
        pages: Pages = {"/liveness": health.liveness, "/readiness": agent.readiness}
        await listen(pages, config.health_host, config.health_port, opened)
    if config.prometheus_metrics_enabled:
        await _serve_metrics(agent, opened)
    register_verbs(agent, control)
    await control.start()
    opened.push_async_callback(control.close)


async def _serve_metrics(agent: Agent, opened: AsyncExitStack) -> None:
    """Over TLS where any of its files is named, and never over less than was asked for."""
    config, tls = agent.config, None
    files = (
        config.prometheus_metrics_cert_file,
        config.prometheus_metrics_key_file,
        config.prometheus_metrics_ca_file,
    )
    if any(files):
        from tortie.daemon.tls import TlsFiles, server_context

        try:
            tls = server_context(TlsFiles(*files, config.prometheus_metrics_client_auth))
        except ValueError as problem:
            agent.warn(f"metrics are not served: TLS: {problem}")
            return
    pages: Pages = {"/metrics": agent.metrics.page}
    host, port = config.prometheus_metrics_host, config.prometheus_metrics_port
    await listen(pages, host, port, opened, tls)


def register_verbs(agent: Agent, control: ControlServer) -> None:
    """Have the control socket answer "status", "settings" and "wait"."""

    async def status(_: Request) -> Reply:
        return _status(agent)

    async def settings(_: Request) -> Reply:
        return {
            "ok": True,
            "node": agent.config.felix_hostname,
            "settings": [one._asdict() for one in agent.settings.in_force()],
            "problems": list(agent.settings.problems[:_PROBLEMS]),
        }

    async def wait(request: Request) -> Reply:
        revision, within = request.get("revision", 0), request.get("timeout", _WAIT)
        if not isinstance(revision, int) or not isinstance(within, int | float):
            return failure('"revision" is a whole number, "timeout" seconds')
        try:
            await agent.wait_applied(revision, within)
        except NotReady as problem:
            return {**failure(str(problem)), "stopping": isinstance(problem, Stopping)}
        return {"ok": True, "revision": agent.revision}

    control.register("status", status)
    control.register("settings", settings)
    control.register("wait", wait)


def _status(agent: Agent) -> Reply:
    return {
        "ok": True,
        "node": agent.config.felix_hostname,
        "process": os.getpid(),
        "revision": agent.revision,
        "in_sync": agent.in_sync,
        "ready": agent.health.is_ready,
        "waiting_for": agent.health.not_ready(),
        "not_live": agent.health.not_live(),
        "datastore": msgspec.to_builtins(agent.freshness()),
        "absent_policies": list(agent.absent_policies()),
        "endpoints": agent.last_turn.counts.local_endpoints,
        "policies": agent.last_turn.counts.local_policies,
        "failures": [one._asdict() for one in agent.failures],
        "warnings": list(agent.warnings),
        "settings": [one._asdict() for one in agent.settings.said()],
        "settings_problems": list(agent.settings.problems[:_PROBLEMS]),
        "contests": msgspec.to_builtins(agent.contests()),
    }
