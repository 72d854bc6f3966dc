"""What each driver is told of a node's configuration. Pure, but for the kernel's release.

Every parameter that a driver acts on is read here and nowhere else, so that what a change of one
touches can be seen at a glance.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from tortie.dataplane.iptables import Backend, Firewall, IptablesSettings
from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.policy.settings import (
    Action,
    HostAction,
    LogRate,
    LoopAction,
    PolicySettings,
)
from tortie.dataplane.routes import RouteSettings
from tortie.dataplane.tunnels import VXLAN_V6, IpipSettings, VxlanSettings
from tortie.dataplane.wireguard import WireguardSettings
from tortie.engine.configuration import Configuration
from tortie.policy.program import Failsafes

_KERNELS = frozenset({253, 254, 255})  # the routing tables default, main and local


def check(config: Configuration) -> None:
    """Raises ValueError where values that are right each alone don't go together."""
    nft_settings(config)
    iptables_settings(config)


def nft_settings(config: Configuration) -> NftSettings:
    """What the firewall is told."""
    return NftSettings(
        interface_prefixes=interface_prefixes(config),
        mark_mask=_nft_mask(config),
        deny=Action(config.nftables_filter_deny_action.lower()),
        endpoint_to_host=HostAction(config.default_endpoint_to_host_action.lower()),
        allow_vxlan=config.allow_vxlan_packets_from_workloads,
        allow_ipip=config.allow_ipip_packets_from_workloads,
        vxlan_port=config.vxlan_port,
        drop_invalid=not config.disable_conntrack_invalid_check,
        log_prefix=config.log_prefix,
        log_rate=_log_rate(config),
        masquerade_to_hosts=config.nat_outgoing_exclusions != "IPPoolsAndHostIPs",
        nat_ports=config.nat_port_range,
        nat_address=config.nat_outgoing_address,
        nat_interface=config.iptables_nat_outgoing_interface_filter,
        service_loops=LoopAction(config.service_loop_prevention.lower()),
        end_denied_flows=config.end_denied_flows == "Enabled",
        wireguard_port=config.wireguard_listening_port if config.wireguard_enabled else 0,
        wireguard_port_v6=config.wireguard_listening_port_v6 if config.wireguard_enabled_v6 else 0,
        node_ports=config.kube_node_port_ranges,
        openstack="tap" in interface_prefixes(config),  # Neutron's names for its workloads'
        excluded_interfaces=config.interface_exclude,
        failsafes=Failsafes(
            config.failsafe_inbound_host_ports, config.failsafe_outbound_host_ports
        ),
    )


def _log_rate(config: Configuration) -> LogRate | None:
    """ "5/minute" as numbers; the firewalls take no burst of none."""
    packets, _, unit = config.log_action_rate_limit.partition("/")
    if not packets:
        return None
    return LogRate(int(packets), unit, max(1, config.log_action_rate_limit_burst))


def _nft_mask(config: Configuration) -> int:
    """Where the firewall is iptables, nftables' mask must not stop the agent."""
    is_used = firewall(config) is Firewall.NFTABLES
    return config.nftables_mark_mask if is_used else PolicySettings().mark_mask


def firewall(config: Configuration) -> Firewall:
    """What holds the policy: nftables, unless it is disabled."""
    return Firewall.IPTABLES if config.nftables_mode == "Disabled" else Firewall.NFTABLES


def iptables_settings(config: Configuration) -> IptablesSettings:
    """What the firewall is told where it is iptables."""
    shared = structs.asdict(nft_settings(config))
    if firewall(config) is Firewall.NFTABLES:  # its own mask and actions don't count
        shared |= {"mark_mask": PolicySettings().mark_mask, "deny": Action.DROP}
        return IptablesSettings(**{name: shared[name] for name in PolicySettings.__struct_fields__})
    backend = config.iptables_backend.lower()
    shared |= {
        "mark_mask": config.iptables_mark_mask,
        "deny": Action(config.iptables_filter_deny_action.lower()),
    }
    return IptablesSettings(
        **{name: shared[name] for name in PolicySettings.__struct_fields__},
        backend=None if backend == "auto" else Backend(backend),
        max_set_size=config.max_ipset_size,
        filter_allow=Action(config.iptables_filter_allow_action.lower()),
        mangle_allow=Action(config.iptables_mangle_allow_action.lower()),
        append=config.chain_insert_mode.lower() == "append",
    )


def policy_settings(config: Configuration) -> PolicySettings:
    """What the firewall in use is told."""
    if firewall(config) is Firewall.NFTABLES:
        return nft_settings(config)
    return iptables_settings(config)


def route_settings(config: Configuration) -> RouteSettings:
    """What the routes are told."""
    return RouteSettings(
        device_protocol=config.device_route_protocol,
        priority4=config.ipv4_normal_route_priority,
        priority6=config.ipv6_normal_route_priority,
        interface_prefixes=interface_prefixes(config),
        source4=config.device_route_source_address,
        source6=config.device_route_source_address_ipv6,
        remove_external=config.remove_external_routes,
        programs_ipip=config.program_cluster_routes in ("Enabled", "EnabledIPIPOnly"),
        programs_plain=config.program_cluster_routes in ("Enabled", "EnabledNoEncapOnly"),
        disabled=config.route_sync_disabled,
        ip_forwarding=config.ip_forwarding != "Disabled",
    )


def vxlan_settings(config: Configuration, version: int) -> VxlanSettings:
    """What the VXLAN tunnel of an IP version is told."""
    return structs.replace(
        VxlanSettings() if version == 4 else VXLAN_V6,
        vni=config.vxlan_vni,
        port=config.vxlan_port,
        mtu=config.vxlan_mtu if version == 4 else config.vxlan_mtu_v6,
        checksum_offload=not is_checksum_offload_broken(
            os.uname().release, dict(config.feature_detect_override)
        ),
    )


def is_checksum_offload_broken(release: str, overrides: Mapping[str, str]) -> bool:
    """Felix's feature ChecksumOffloadBroken: kernels before 5.7 send wrong checksums from VXLAN."""
    told = overrides.get("ChecksumOffloadBroken", "").lower()
    if told in ("true", "false"):
        return told == "true"
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is None or (int(found[1]), int(found[2])) < (5, 7)


def wireguard_settings(config: Configuration, run_dir: Path) -> Mapping[int, WireguardSettings]:
    """What WireGuard of each IP version is told."""
    ipv4 = WireguardSettings(
        node=config.felix_hostname,
        run_dir=run_dir,
        enabled=config.wireguard_enabled,
        device=config.wireguard_interface_name,
        port=config.wireguard_listening_port,
        mtu=config.wireguard_mtu,
        keepalive=round(config.wireguard_persistent_keep_alive),
        rule_priority=config.wireguard_routing_rule_priority,
        encrypts_hosts=config.wireguard_host_encryption_enabled,
        threaded=config.wireguard_threading_enabled,
        mark=policy_settings(config).marks.wireguard,
        table=route_table(config, 0),
        priority=config.ipv4_normal_route_priority,
        beside=(config.wireguard_interface_name_v6,),
    )
    ipv6 = structs.replace(
        ipv4,
        version=6,
        enabled=config.wireguard_enabled_v6,
        device=config.wireguard_interface_name_v6,
        port=config.wireguard_listening_port_v6,
        mtu=config.wireguard_mtu_v6,
        table=route_table(config, 1),
        priority=config.ipv6_normal_route_priority,
        beside=(config.wireguard_interface_name,),
    )
    return {4: ipv4, 6: ipv6}


def route_table(config: Configuration, number: int) -> int:
    """The n-th routing table that is ours (RouteTableRanges, by default 1 to 250).

    Raises ValueError where there are not so many.
    """
    alone = (config.route_table_range,) if config.route_table_range else ()
    for first, last in config.route_table_ranges or alone or ((1, 250),):
        found = [table for table in range(first, min(last, first + 8) + 1) if table not in _KERNELS]
        if number < len(found):
            return found[number]
        number -= len(found)
    raise ValueError("RouteTableRanges: give two routing tables or more: WireGuard needs them")


def ipip_settings(config: Configuration) -> IpipSettings:
    """What the IPIP tunnel is told."""
    return IpipSettings(node=config.felix_hostname, mtu=config.ip_in_ip_mtu)


def mtus(config: Configuration) -> Mapping[str, int]:
    """What is set of the tunnels' MTUs, by their drivers' names; 0: not set."""
    return {
        "ipip": config.ip_in_ip_mtu,
        "vxlan": config.vxlan_mtu,
        "vxlan-v6": config.vxlan_mtu_v6,
        "wireguard": config.wireguard_mtu,
        "wireguard-v6": config.wireguard_mtu_v6,
    }


def interface_prefixes(config: Configuration) -> tuple[str, ...]:
    """What the names of workloads' interfaces begin with; the first is for new ones."""
    return tuple(config.interface_prefix.split(","))
