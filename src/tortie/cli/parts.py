"""One node's parts, put together: datastore, sync, engine, drivers, agent, node, plugin."""

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

import tortie
from tortie.agent.agent import Agent
from tortie.agent.allegiance import Allegiance
from tortie.agent.control import ControlServer, Reply, Request
from tortie.agent.driver_settings import interface_prefixes, wireguard_settings
from tortie.agent.drivers import Drivers, configuring, engine_of, watch_drift
from tortie.agent.pipeline import KeyValue, Pipeline
from tortie.agent.remembered import Remembered
from tortie.agent.reporting import pace_of, report_of
from tortie.agent.service import serve
from tortie.agent.settings import Settings
from tortie.agent.wireguard import WireguardMetrics, devices_of
from tortie.cni.addresses import Addresses
from tortie.cni.attachment import Attacher
from tortie.cni.chained import Chained
from tortie.cni.delegated import Delegated
from tortie.cni.records import Records
from tortie.cni.registration import Registration
from tortie.cni.server import CniServer
from tortie.dataplane.drift import Drift
from tortie.dataplane.policy.node import is_excluded
from tortie.dataplane.wireguard import WireguardSettings
from tortie.datastore import Datastore, DatastoreError
from tortie.datastore.initialize import initialize_in_time
from tortie.datastore.settings import DatastoreSettings, name_of
from tortie.fanout.client import FanoutFollower
from tortie.fanout.discovery import find_servers
from tortie.fanout.settings import FanoutClientSettings
from tortie.ipam import IPAM
from tortie.linux.links import Links
from tortie.linux.netlink.monitor import (
    ADDRESS_GROUPS,
    LINK_GROUPS,
    AddressChanged,
    Event,
    LinkChanged,
    Monitor,
    Overrun,
)
from tortie.linux.netlink.rtlink import Link
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.node import flannel
from tortie.node.addressing import Addressing, Wanted
from tortie.node.clouds import Clouds
from tortie.node.mtu import MtuFile
from tortie.node.tunnels import TunnelAddresses
from tortie.node.wireguard import PublicKeys
from tortie.node.workload_mtu import Node, WorkloadMtu
from tortie.reports.report import Report, rfc3339
from tortie.reports.reporting import Reporting
from tortie.sync import Backoff, Syncer, SyncWarning

_PATIENCE = 10.0  # seconds that a plugin waits for a datastore that is away at the start

_log = structlog.get_logger(__name__)


class Given(NamedTuple):
    """What the node and its datastore's last word say about this run."""

    settings: Settings
    remembered: Remembered
    fanout: FanoutClientSettings
    run_dir: str
    addresses: Wanted


class NodeParts:
    """One node's parts, connected."""

    def __init__(
        self,
        given: Given,
        store: Datastore,
        datastore: DatastoreSettings,
        drivers: Drivers,
        allegiance: Allegiance,
    ) -> None:
        config = given.settings.configuration
        self._name = given.settings.node
        self._fanout = fanout = given.fanout
        self._store = store
        self._allegiance = allegiance
        self._addressing = Addressing(
            store,
            self._name,
            given.addresses,
            lambda news: _log.info("this node's address", found=news),
            lambda reason: _log.warning("this node can't be registered yet", reason=reason),
        )
        self._monitor = Monitor(self._link_event, LINK_GROUPS + ADDRESS_GROUPS)
        self._workload_prefixes = interface_prefixes(config)
        self._drift = watch_drift(config, Path(given.run_dir), drivers, self._drifted)
        source = self._source(fanout)
        self._ipam = IPAM(store)
        self._tunnels = TunnelAddresses(store, self._ipam, self._name, lambda: self._mtu.tell())
        self._run_dir = Path(given.run_dir)
        self._keys = PublicKeys(store, self._name, wireguard_settings(config, self._run_dir))
        drivers.told = self._key_ready
        registration = Registration(self._name)
        engine = engine_of(self._name, config)
        pipeline = Pipeline(engine, drivers.dataplane, configure=configuring(engine, drivers))
        self._agent = Agent(
            given.settings,
            source,
            pipeline,
            [self._tunnels.saw, self._keys.saw, self._saw_pools, registration.saw],
            absent_policies=source.absent_policies,
            keep=given.remembered.keep,
            refreshes=drivers.refresh_intervals,
            configured=self._configured,
        )
        self._agent.metrics.registry.register(WireguardMetrics(self._name, self._wireguard_told))
        self._mtu = WorkloadMtu(
            Node(
                lambda: self._agent.config,
                lambda: self._tunnels.in_use,
                Path(os.environ.get(flannel.VARIABLE) or flannel.DEFAULT_FILE),
            ),
            MtuFile(self._run_dir / "mtu"),
            self._agent.health,
            self._agent.warn,
        )
        self._clouds = Clouds(
            self._name, datastore, config.aws_src_dst_check, self._agent.warn, self._agent.health
        )
        self._since = rfc3339(datetime.now(UTC))
        self._reporting = Reporting(datastore, self._report, partial(pace_of, self._agent))
        addresses, records = Addresses(self._ipam, store, registration), Records(store)
        self._attacher = attacher = Attacher(
            self._name,
            self._agent,
            addresses,
            records,
            self._mtu.now,
            self._workload_prefixes[0],
            self._mtu.followed,
        )
        self._control = ControlServer(os.path.join(given.run_dir, "agent.sock"))
        admitted = partial(allegiance.wait, _PATIENCE)
        chained = Chained(self._name, self._agent, records, self._workload_prefixes[0])
        plugin = CniServer(
            attacher,
            self._agent.health.not_ready,
            admitted,
            chained,
            name_of(datastore),
            registration,
        )
        self._control.register("cni", plugin.handle)
        delegated = Delegated(self._name, addresses, records)
        self._control.register("cni-ipam", plugin.serving(delegated.commands))
        self._control.register("rotate-wireguard-keys", self._rotate)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self) -> None:
        """Run until a signal asks to stop."""
        self._loop = asyncio.get_running_loop()
        self._mtu.begin(await asyncio.to_thread(_links))
        self._monitor.start()
        self._drift.start()
        self._attacher.reaper.wake()  # what a killed agent had shut and not deleted yet
        try:
            await serve(self._agent, self._control, [self._write, self._clouds.run])
        finally:
            await self._attacher.reaper.close()
            self._drift.close()
            self._monitor.close()

    def _source(self, fanout: FanoutClientSettings) -> Syncer | FanoutFollower:
        """The datastore itself, or a server that follows it for many."""
        if not fanout.wanted:
            admit = self._allegiance.admit
            return Syncer(self._store, on_warning=self._sync_warning, admit=admit)
        return FanoutFollower(
            fanout,
            find_servers(fanout, self._store, self._name),
            node=self._name,
            admit=self._allegiance.admit_stream,
            on_warning=self._sync_warning,
        )

    async def _admit_store(self) -> None:
        """What a server says of its datastore is no word about the one that we write to."""
        backoff = Backoff()
        while not self._allegiance.sworn.is_set():
            try:
                self._allegiance.admit(await self._store.identity())
            except DatastoreError:
                await backoff.wait()

    async def _write(self) -> None:
        """What this node writes to the datastore, once that is known to be the right one."""
        if self._fanout.wanted:
            await self._admit_store()
        await self._allegiance.sworn.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._addressing.run())
            tasks.create_task(self._tunnels.run())  # for ever, and so does this
            tasks.create_task(self._keys.run())
            tasks.create_task(self._initialize())
            tasks.create_task(self._reporting.run())

    async def _report(self) -> Report:
        return report_of(self._agent, tortie.__version__, self._since)

    async def _initialize(self) -> None:
        try:
            await initialize_in_time(self._store, tortie.__version__, self._agent.warn)
        except DatastoreError as problem:  # nothing on this node depends on it
            self._agent.warn(f"the cluster's information and tiers can't be written: {problem}")

    def _key_ready(self, version: int, public: str) -> None:
        """From the worker."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._keys.ready, version, public)

    async def _rotate(self, _: Request) -> Reply:
        """Give WireGuard other keys; others learn them from the Node."""
        return {"ok": True, "public_keys": self._keys.rotate()}

    def _wireguard_told(self) -> Iterable[WireguardSettings]:
        """The devices of which /metrics tells."""
        config = self._agent.config
        of_versions = wireguard_settings(config, self._run_dir)
        return devices_of(config.prometheus_wireguard_metrics_enabled, of_versions)

    def _saw_pools(self, updates: Sequence[KeyValue]) -> None:
        self._clouds.saw(updates)

    def _configured(self) -> None:
        """Not at once with a FelixConfiguration: none is acted on before the first picture."""
        self._mtu.tell()
        self._clouds.configure(self._agent.config.aws_src_dst_check)
        self._keys.configure(wireguard_settings(self._agent.config, self._run_dir))

    def _link_event(self, event: Event) -> None:
        match event:
            case LinkChanged(link, state):
                if not link.name.startswith(self._workload_prefixes):  # else it is no uplink
                    self._mtu.link_event(link, state)
                self._agent.link_changed(link.name, state)
            case AddressChanged(address, _):
                self._address_event(address.index)
            case Overrun():
                self._agent.resync()

    def _address_event(self, index: int) -> None:
        """Of a workload's interface it is no news: those have only what the kernel gives them. And
        kube-proxy may give thousands to its own.
        """
        with suppress(OSError):  # the interface is gone: that is news of its own
            name = socket.if_indextoname(index)
            is_theirs = is_excluded(name, self._agent.config.interface_exclude)
            if not (is_theirs or name.startswith(self._workload_prefixes)):
                self._agent.link_changed(name, "address")

    def _drifted(self, drift: Drift) -> None:
        self._agent.drifted(drift.driver, drift.by)

    def _sync_warning(self, warning: SyncWarning) -> None:
        self._agent.warn(str(warning))
        self._agent.follow_datastore()


def _links() -> list[Link]:
    with NetlinkSocket() as sock:
        return Links(sock).list()
