"""The drivers of one node, set up as its configuration says."""

from collections.abc import Callable

from tortie.agent.config import AgentConfig
from tortie.dataplane.composite import Dataplane
from tortie.dataplane.drift import Drift, DriftWatch
from tortie.dataplane.nftables import HostAction, NftablesDataplane, NftSettings
from tortie.dataplane.routes import RouteDriver, RouteSettings
from tortie.dataplane.tunnels import VxlanDriver, VxlanSettings


def build_dataplane(config: AgentConfig) -> Dataplane:
    """Drivers of the calling thread's network namespace. Raises NftError, OSError, ValueError."""
    return Dataplane(
        policy=NftablesDataplane(nft_settings(config)),
        routes=RouteDriver(route_settings(config)),
        tunnels=[VxlanDriver(vxlan_settings(config))],
    )


def watch_drift(
    config: AgentConfig, dataplane: Dataplane, handler: Callable[[Drift], None]
) -> DriftWatch:
    """Tells `handler` what others change of what the drivers own. Raises OSError."""
    return DriftWatch(handler, dataplane.ports, route_settings(config))


def nft_settings(config: AgentConfig) -> NftSettings:
    """What the firewall is told."""
    return NftSettings(
        interface_prefixes=config.interface_prefixes,
        endpoint_to_host=HostAction(config.endpoint_to_host_action.lower()),
        allow_vxlan=config.allow_vxlan,
        allow_ipip=config.allow_ipip,
        vxlan_port=config.vxlan_port,
        drop_invalid=config.drop_invalid,
        log_prefix=config.log_prefix,
        masquerade_to_hosts=config.masquerade_to_hosts,
    )


def route_settings(config: AgentConfig) -> RouteSettings:
    """What the routes are told."""
    return RouteSettings(
        device_protocol=config.route_protocol,
        priority4=config.route_priority4,
        priority6=config.route_priority6,
        interface_prefixes=config.interface_prefixes,
        ip_forwarding=config.ip_forwarding,
    )


def vxlan_settings(config: AgentConfig) -> VxlanSettings:
    """What the tunnel is told."""
    return VxlanSettings(vni=config.vxlan_vni, port=config.vxlan_port, mtu=config.vxlan_mtu)
