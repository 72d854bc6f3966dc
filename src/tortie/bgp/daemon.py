"""The BGP daemon: its parts put together, its socket, and an end that peers can bear."""

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

import msgspec
import structlog

import tortie
from tortie.agent.allegiance import Allegiance
from tortie.agent.control import ControlServer, Reply, Request, failure
from tortie.bgp.bird import Bird
from tortie.bgp.clock import now
from tortie.bgp.control import BirdAway
from tortie.bgp.meeting import Meeting
from tortie.bgp.places import DEFAULT_SECRETS, FOLDER, SOCKET
from tortie.bgp.reporter import StatusReporter
from tortie.bgp.reporting import PACE, report_of
from tortie.bgp.running import Running
from tortie.bgp.secrets import (
    FileSecrets,
    HoldsSecrets,
    KubernetesSecrets,
    SecretKeeper,
    SecretSource,
)
from tortie.bgp.service import BgpService
from tortie.bgp.settings import BgpSettings
from tortie.bgp.status import BirdState
from tortie.bgp.workloads import WorkloadFollower
from tortie.daemon.running import run_until, stopped_by_signal, watch_loop
from tortie.datastore import Datastore
from tortie.datastore.settings import DatastoreSettings
from tortie.fanout.client import FanoutFollower
from tortie.fanout.discovery import find_servers
from tortie.fanout.names import BGP
from tortie.fanout.settings import FanoutClientSettings
from tortie.reports.reporting import Reporting
from tortie.sync import BGP_KINDS, Syncer, SyncWarning

_log = structlog.get_logger(__name__)


async def serve(
    settings: BgpSettings,
    fanout: FanoutClientSettings,
    store: Datastore,
    run_dir: str,
    name: str,
    datastore: DatastoreSettings,
) -> None:
    """Run until a signal asks to stop. `name` is what people call the datastore; what is said of
    ourselves goes to `datastore` by a connection of its own.

    Raises OSError, Unusable, and what a defect raised.
    """
    stop = stopped_by_signal()
    folder = os.path.join(run_dir, FOLDER)
    bird = Bird(os.path.join(folder, "bird"))
    source = _source(settings.node, fanout, store, Allegiance(folder, name))
    keeper = SecretKeeper(_secrets(settings, store))
    meeting = Meeting()
    running = Running(bird)
    service = BgpService(settings.node, source, bird, running, keeper, settings.given, meeting)
    reporter = StatusReporter(service, store)
    workloads = WorkloadFollower(service, store)
    since = now()
    reporting = Reporting(
        datastore, partial(report_of, service, tortie.__version__, since), lambda: PACE
    )
    async with AsyncExitStack() as opened:
        watch_loop(opened)
        control = ControlServer(os.path.join(run_dir, SOCKET))
        register_verbs(service, control)
        await control.start()
        opened.push_async_callback(control.close)
        _log.info("started", node=settings.node, process=os.getpid())
        work = [service.follow, service.apply, service.keep_bird, service.keep_secrets]
        work += [service.keep_counting, reporter.follow, reporter.answer, workloads.run]
        work += [reporting.run, meeting.run]
        await run_until(stop, work)  # what it raises leaves BIRD running, for the next of us
        await running.stop()
    _log.info("stopped; BIRD's routes stay in the kernel")


def _source(
    node: str, fanout: FanoutClientSettings, store: Datastore, allegiance: Allegiance
) -> Syncer | FanoutFollower:
    if not fanout.wanted:
        return Syncer(store, BGP_KINDS, on_warning=_warn, admit=allegiance.admit)
    return FanoutFollower(
        fanout,
        find_servers(fanout, store, node),
        stream=BGP,
        node=node,
        admit=allegiance.admit_stream,
        on_warning=_warn,
    )


def _secrets(settings: BgpSettings, store: Datastore) -> SecretSource:
    """A folder where one is named, or where the datastore has no Secrets."""
    if not settings.secrets and isinstance(store, HoldsSecrets):
        return KubernetesSecrets(store, settings.namespace)
    return FileSecrets(settings.secrets or DEFAULT_SECRETS)


def _warn(warning: SyncWarning) -> None:
    _log.warning("something can't be used as it is", problem=str(warning))


def register_verbs(service: BgpService, control: ControlServer) -> None:
    """Have the control socket answer "status" and "routes"."""

    async def status(_: Request) -> Reply:
        state = await service.state()
        outage = service.outage
        return {
            "ok": True,
            "node": service.cluster.node,
            "process": os.getpid(),
            "bird": _bird(service, state.bird, state.away),
            "in_sync": service.in_sync,
            "outage": outage.reason if outage else "",
            "told_at": service.telling.told_at,
            "problems": service.problems(),
            "sessions": msgspec.to_builtins(state.sessions),
        }

    async def routes(_: Request) -> Reply:
        try:
            found = await service.routes()
        except BirdAway as problem:
            return failure(f"BIRD does not answer: {problem}")
        return {"ok": True, "routes": msgspec.to_builtins([*found[4], *found[6]])}

    control.register("status", status)
    control.register("routes", routes)


def _bird(service: BgpService, state: BirdState | None, away: str) -> Mapping[str, object]:
    said = {} if state is None else state._asdict()
    bird = service.running
    facts = {"running": state is not None, "away": away, "process": bird.process}
    return {**facts, "restarts": bird.restarts, "found_running": bird.adopted, "said": said}
