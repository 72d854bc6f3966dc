"""Tunnels, encryption and flow logs."""

from typing import Literal

from msgspec import field

from tortie.api.calico.felix.bpf import FelixBpf
from tortie.api.fields import Duration, Switch, Unset


class FelixOverlay(FelixBpf, frozen=True, kw_only=True):
    """Tunnels, encryption and flow logs."""

    ipip_enabled: bool | None = None
    """Make the device of IP-in-IP. Absent: where a pool uses it."""
    ipip_mtu: int | None = field(default=None, name="ipipMTU")
    """MTU of the IP-in-IP device in bytes; 0: found out. Absent: 0."""
    vxlan_enabled: bool | None = None
    """Make the device of VXLAN. Absent: where a pool uses it."""
    vxlan_mtu: int | None = field(default=None, name="vxlanMTU")
    """MTU of the VXLAN device for IPv4 in bytes; 0: found out. Absent: 0."""
    vxlan_mtu_v6: int | None = field(default=None, name="vxlanMTUV6")
    """MTU of the VXLAN device for IPv6 in bytes; 0: found out. Absent: 0."""
    vxlan_port: int | None = None
    """UDP port of VXLAN. Absent: 4789."""
    vxlan_vni: int | None = field(default=None, name="vxlanVNI")
    """VXLAN's network identifier, 24 bits. Absent: 4096."""
    wireguard_enabled: bool | None = None
    """Encrypt IPv4 packets between nodes with WireGuard. Absent: false."""
    wireguard_enabled_v6: bool | None = None
    """Encrypt IPv6 packets between nodes with WireGuard. Absent: false."""
    wireguard_host_encryption_enabled: bool | None = None
    """Encrypt also packets of the nodes themselves, not only of their workloads. Absent: false."""
    wireguard_interface_name: str = ""
    """Name of WireGuard's interface for IPv4, at most 15 characters. Absent: wireguard.cali."""
    wireguard_interface_name_v6: str = ""
    """Name of WireGuard's interface for IPv6, at most 15 characters. Absent: wg-v6.cali."""
    wireguard_keep_alive: Duration = ""
    """Time between signs of life to each peer, a duration; 0: none are sent. Absent: 0s."""
    wireguard_listening_port: int | None = None
    """UDP port of WireGuard for IPv4. Absent: 51820."""
    wireguard_listening_port_v6: int | None = None
    """UDP port of WireGuard for IPv6. Absent: 51821."""
    wireguard_mtu: int | None = field(default=None, name="wireguardMTU")
    """MTU of WireGuard's interface for IPv4 in bytes; 0: found out. Absent: 0."""
    wireguard_mtu_v6: int | None = field(default=None, name="wireguardMTUV6")
    """MTU of WireGuard's interface for IPv6 in bytes; 0: found out. Absent: 0."""
    wireguard_routing_rule_priority: int | None = None
    """Priority of the kernel's routing rule that leads to WireGuard. Absent: 99."""
    wireguard_threading_enabled: bool | None = None
    """Let WireGuard's packets be worked on by threads of their own, one a device. Absent: false."""
    flow_logs_collector_debug_trace: bool | None = None
    """Log every step of the gathering of flows, for debugging. Absent: false."""
    flow_logs_flush_interval: Duration = ""
    """Time that flows are gathered before they are sent, a duration. Absent: 5m."""
    flow_logs_goldmane_server: str = ""
    """Address of the Goldmane server that flows are sent to. Absent: they are sent nowhere."""
    flow_logs_local_reporter: Switch = ""
    """Tell flows also over a socket of the node. Absent: Disabled."""
    flow_logs_policy_evaluation_mode: Literal["None", "Continuous"] | Unset = ""
    """Whether pending policies are asked again for flows that go on (Continuous), or only at
    their beginning. Absent: Continuous."""
