"""The drivers of one node, set up as its configuration says."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from tortie.agent.driver_settings import (
    firewall,
    interface_prefixes,
    ipip_settings,
    iptables_settings,
    nft_settings,
    policy_settings,
    route_settings,
    vxlan_settings,
    wireguard_settings,
)
from tortie.dataplane.composite import Dataplane
from tortie.dataplane.drift import Drift, DriftWatch, Owners
from tortie.dataplane.flows import FlowDriver
from tortie.dataplane.iptables import Firewall, policy_driver
from tortie.dataplane.qos import QosDriver
from tortie.dataplane.routes import RouteDriver
from tortie.dataplane.tunnels import IpipDriver, VxlanDriver, driver_name
from tortie.dataplane.wireguard import WireguardDriver
from tortie.dataplane.wireguard import driver_name as wireguard_name
from tortie.engine import Engine
from tortie.engine.configuration import Configuration

Told = Callable[[int, str], None]  # IP version, public key


class Drivers:
    """The drivers of the calling thread's network namespace.

    Raises NftError, OSError, ValueError. What of the routes can be set marks which are ours: it
    stays as it was until the agent begins anew.
    """

    def __init__(
        self, config: Configuration, run_dir: Path, told: Told = lambda _version, _key: None
    ) -> None:
        """`told` hears, from the worker, which public keys WireGuard's devices have."""
        self._run_dir = run_dir
        self._policy = policy_driver(
            firewall(config), nft_settings(config), iptables_settings(config)
        )
        self._vxlan = VxlanDriver(vxlan_settings(config, 4))
        self._vxlan6 = VxlanDriver(vxlan_settings(config, 6))
        self._ipip = IpipDriver(ipip_settings(config))
        self._routes = RouteDriver(route_settings(config))
        self._wireguard = [
            WireguardDriver(settings, lambda version, key: self.told(version, key))
            for settings in wireguard_settings(config, run_dir).values()
        ]
        self.told = told
        self._tunnels: tuple[VxlanDriver | IpipDriver | WireguardDriver, ...] = (
            self._vxlan,
            self._vxlan6,
            self._ipip,
            *self._wireguard,
        )
        self._qos = QosDriver()
        self.sysctls = self._routes.sysctls
        self._flows = FlowDriver(policy_settings(config), lambda: self._policy.desired)
        self.dataplane = Dataplane(
            self._policy,
            self._routes,
            [*self._tunnels, self._qos],
            [self.sysctls, self._flows],
        )

    def close(self) -> None:
        """Let go of the kernel's sockets; what is programmed stays in force."""
        self._policy.close()
        for driver in (*self._tunnels, self._qos, self._routes, self._flows):
            driver.close()

    def refresh_intervals(self, config: Configuration) -> Mapping[str, float]:
        """How often each driver looks without being told, in seconds; 0: never.

        Rules and sets are looked at together, and so are routes and what their interfaces need.
        """
        policy = [config.nftables_refresh_interval]
        if firewall(config) is Firewall.IPTABLES:
            policy = [config.iptables_refresh_interval, config.ipsets_refresh_interval]
        network = _least([config.route_refresh_interval, config.interface_refresh_interval])
        others = (one.name for one in (*self._tunnels, self._routes))
        return {**dict.fromkeys(others, network), self._policy.name: _least(policy)}

    def configure(self, config: Configuration) -> Collection[str]:
        """Take other settings; the names of the drivers for which that makes a difference."""
        told = {
            self._policy.name: self._policy.configure(
                nft_settings(config), iptables_settings(config)
            ),
            self._vxlan.name: self._vxlan.configure(vxlan_settings(config, 4)),
            self._vxlan6.name: self._vxlan6.configure(vxlan_settings(config, 6)),
            self._ipip.name: self._ipip.configure(ipip_settings(config)),
            self._flows.name: self._flows.configure(policy_settings(config)),
        }
        of_versions = wireguard_settings(config, self._run_dir).values()
        for driver, settings in zip(self._wireguard, of_versions, strict=True):
            told[driver.name] = driver.configure(settings)
        return [name for name, is_other in told.items() if is_other]


def _least(seconds: Iterable[float]) -> float:
    return min(filter(None, seconds), default=0.0)


def allows_spoofing(config: Configuration) -> bool:
    """Whether workloads may send from the other sources that their endpoints name."""
    return config.workload_source_spoofing == "Any"


def engine_of(node: str, config: Configuration) -> Engine:
    """The engine of a node with these settings."""
    engine = Engine(
        node,
        spoofing=allows_spoofing(config),
        floating=config.floating_ips == "Enabled",
        interface_prefix=interface_prefixes(config)[0],
        external_nodes=config.external_nodes_cidr_list,
        routes_by_workload=config.route_source == "WorkloadIPs",
    )
    engine.force_tunnels(config.ip_in_ip_enabled, config.vxlan_enabled)
    return engine


def configuring(engine: Engine, drivers: Drivers) -> Callable[[Configuration], Collection[str]]:
    """What a turn calls when settings changed."""

    def configure(config: Configuration) -> Collection[str]:
        engine.allow_spoofing(allows_spoofing(config))
        engine.allow_floating(config.floating_ips == "Enabled")
        engine.accept_tunnels_of(config.external_nodes_cidr_list)
        engine.force_tunnels(config.ip_in_ip_enabled, config.vxlan_enabled)
        return drivers.configure(config)

    return configure


def watch_drift(
    config: Configuration,
    run_dir: Path,
    drivers: Drivers,
    handler: Callable[[Drift], None],
) -> DriftWatch:
    """Tells `handler` what others change of what the drivers own. Raises OSError."""
    devices = {vxlan_settings(config, version).device: driver_name(version) for version in (4, 6)}
    devices[ipip_settings(config).device] = IpipDriver.name
    tables = {}
    for version, settings in wireguard_settings(config, run_dir).items():
        devices[settings.device] = tables[settings.table] = wireguard_name(version)
    return DriftWatch(
        handler,
        drivers.dataplane.ports,
        drivers.dataplane.watch_policy,
        route_settings(config),
        Owners(devices, tables),
        drivers.sysctls,
    )
