"""What every dataplane does: interfaces, routes, NAT, endpoints."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api.calico.felix.process import FelixProcess
from tortie.api.fields import (
    NO_LIST_TYPE,
    Duration,
    Fields,
    IntOrText,
    Switch,
    Unset,
    matching,
)

_PreciseDuration = Annotated[str, matching(r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))*$")]

ClusterRoutes = Literal["Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly"]


class ProtoPort(Fields, frozen=True, kw_only=True):
    """A port that policy never closes."""

    protocol: str = ""
    """tcp or udp. Absent: tcp."""
    port: int
    """The port."""
    net: str = ""
    """Only for this CIDR of peers. Absent: all."""


class RouteTableRange(Fields, frozen=True, kw_only=True):
    """Routing tables that the agent may use, 1 to 250."""

    min: int
    max: int


class RouteTableIDRange(Fields, frozen=True, kw_only=True):
    """Routing tables that the agent may use."""

    min: int
    max: int


class FelixDataplane(FelixProcess, frozen=True, kw_only=True):
    """What every dataplane does: interfaces, routes, NAT, endpoints."""

    allow_ipip_packets_from_workloads: bool | None = None
    """Absent: false."""
    allow_vxlan_packets_from_workloads: bool | None = None
    """Absent: false."""
    cgroup_v2_path: str = ""
    chain_insert_mode: Annotated[str, matching(r"^(?i)(Insert|Append)?$")] = ""
    """Absent: Insert."""
    dataplane_driver: str = ""
    """Path to executable, which must exist. Absent: calico-iptables-plugin."""
    dataplane_watchdog_timeout: str = ""
    """A duration, as in 1m30s. Absent: 1m30s."""
    default_endpoint_to_host_action: Annotated[str, matching(r"^(?i)(Drop|Accept|Return)?$")] = ""
    """Absent: Drop."""
    device_route_protocol: int | None = None
    """Absent: 3."""
    device_route_source_address: Annotated[str, Meta(max_length=45)] = ""
    """IPv4 address."""
    device_route_source_address_ipv6: Annotated[str, Meta(max_length=45)] = ""
    """IPv6 address."""
    disable_conntrack_invalid_check: bool | None = None
    """Absent: false."""
    endpoint_status_path_prefix: str = ""
    """Path to file. Absent: /var/run/calico."""
    external_nodes_list: Annotated[tuple[str, ...], NO_LIST_TYPE] = ()
    """Comma-delimited list of CIDRs."""
    failsafe_inbound_host_ports: Annotated[tuple[ProtoPort, ...], NO_LIST_TYPE] = ()
    failsafe_outbound_host_ports: Annotated[tuple[ProtoPort, ...], NO_LIST_TYPE] = ()
    floating_ips: Switch = ""
    """Absent: Disabled."""
    interface_exclude: str = ""
    """Comma-delimited list of Linux interface names/regex patterns. Absent: kube-ipvs0."""
    interface_prefix: str = ""
    """Absent: cali."""
    interface_refresh_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 1m30s."""
    ip_forwarding: Switch = ""
    """Absent: Enabled."""
    ipv4_elevated_route_priority: int | None = None
    """1 to 2147483646. Absent: 512."""
    ipv4_normal_route_priority: int | None = None
    """1 to 2147483646. Absent: 1024."""
    ipv6_elevated_route_priority: int | None = None
    """1 to 2147483646. Absent: 512."""
    ipv6_normal_route_priority: int | None = None
    """1 to 2147483646. Absent: 1024."""
    ipv6_support: bool | None = None
    """Absent: true."""
    istio_ambient_mode: Switch = ""
    """Absent: Disabled."""
    istio_dscp_mark: IntOrText | None = field(default=None, name="istioDSCPMark")
    """Absent: 23."""
    live_migration_route_convergence_time: _PreciseDuration = ""
    """A duration, as in 1m30s. Absent: 30s."""
    local_subnet_l2_reachability: Literal["Disabled", "PodsAndLoadBalancers"] | Unset = ""
    """Absent: Disabled."""
    local_subnet_l2_reachability_refresh_interval: str = ""
    """A duration, as in 1m30s. Absent: 2m0s."""
    mtu_iface_pattern: str = ""
    """Regular expression."""
    nat_outgoing_address: Annotated[str, Meta(max_length=45)] = ""
    """IPv4 address."""
    nat_outgoing_exclusions: Literal["IPPoolsOnly", "IPPoolsAndHostIPs"] | Unset = ""
    """Absent: IPPoolsOnly."""
    nat_port_range: IntOrText | None = None
    """Port range. Absent: 0."""
    netlink_timeout: Duration = ""
    """A duration, as in 1m30s. Absent: 10s."""
    nftables_flow_table_data_iface_pattern: str = ""
    """Regular expression."""
    nftables_flow_table_offload: Literal["All", "Disabled"] = "Disabled"
    """Absent: Disabled."""
    nftables_mode: Literal["Disabled", "Enabled", "Auto"] = "Auto"
    """Absent: Auto."""
    policy_sync_path_prefix: str = ""
    """Path to file."""
    program_cluster_routes: ClusterRoutes | Unset = ""
    """Absent: EnabledIPIPOnly."""
    remove_external_routes: bool | None = None
    """Absent: true."""
    require_mtu_file: bool | None = field(default=None, name="requireMTUFile")
    """Absent: false."""
    route_refresh_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 1m30s."""
    route_source: Annotated[str, matching(r"^(?i)(WorkloadIPs|CalicoIPAM)?$")] = ""
    """Absent: CalicoIPAM."""
    route_sync_disabled: bool | None = None
    """Absent: false."""
    route_table_range: RouteTableRange | None = None
    """Range of route table indices n-m, where n and m are integers in [0,250]."""
    route_table_ranges: Annotated[tuple[RouteTableIDRange, ...], NO_LIST_TYPE] = ()
    service_loop_prevention: Annotated[str, matching(r"^(?i)(Drop|Reject|Disabled)?$")] = ""
    """Absent: Drop."""
    sidecar_acceleration_enabled: bool | None = None
    """Absent: false."""
    use_internal_dataplane_driver: bool | None = None
    """Absent: true."""
    workload_source_spoofing: Annotated[str, matching(r"^(?i)(Disabled|Any)?$")] = ""
    """Absent: Disabled."""
