"""Tunnels, encryption and flow logs."""

from typing import Literal

from msgspec import field

from tortie.api.calico.felix.bpf import FelixBpf
from tortie.api.fields import Duration, Switch, Unset


class FelixOverlay(FelixBpf, frozen=True, kw_only=True):
    """Tunnels, encryption and flow logs."""

    ipip_enabled: bool | None = None
    ipip_mtu: int | None = field(default=None, name="ipipMTU")
    """Absent: 0."""
    vxlan_enabled: bool | None = None
    vxlan_mtu: int | None = field(default=None, name="vxlanMTU")
    """Absent: 0."""
    vxlan_mtu_v6: int | None = field(default=None, name="vxlanMTUV6")
    """Absent: 0."""
    vxlan_port: int | None = None
    """Absent: 4789."""
    vxlan_vni: int | None = field(default=None, name="vxlanVNI")
    """Absent: 4096."""
    wireguard_enabled: bool | None = None
    """Absent: false."""
    wireguard_enabled_v6: bool | None = None
    """Absent: false."""
    wireguard_host_encryption_enabled: bool | None = None
    """Absent: false."""
    wireguard_interface_name: str = ""
    """Absent: wireguard.cali."""
    wireguard_interface_name_v6: str = ""
    """Absent: wg-v6.cali."""
    wireguard_keep_alive: Duration = ""
    """A duration, as in 1m30s. Absent: 0s."""
    wireguard_listening_port: int | None = None
    """Absent: 51820."""
    wireguard_listening_port_v6: int | None = None
    """Absent: 51821."""
    wireguard_mtu: int | None = field(default=None, name="wireguardMTU")
    """Absent: 0."""
    wireguard_mtu_v6: int | None = field(default=None, name="wireguardMTUV6")
    """Absent: 0."""
    wireguard_routing_rule_priority: int | None = None
    """Absent: 99."""
    wireguard_threading_enabled: bool | None = None
    """Absent: false."""
    flow_logs_collector_debug_trace: bool | None = None
    """Absent: false."""
    flow_logs_flush_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 5m0s."""
    flow_logs_goldmane_server: str = ""
    flow_logs_local_reporter: Switch = ""
    """Absent: Disabled."""
    flow_logs_policy_evaluation_mode: Literal["None", "Continuous"] | Unset = ""
    """Absent: Continuous."""
