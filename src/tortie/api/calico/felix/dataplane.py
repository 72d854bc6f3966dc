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
    """The port, 0 to 65535."""
    net: str = ""
    """Only for this CIDR of peers. Absent: all."""


class RouteTableRange(Fields, frozen=True, kw_only=True):
    """Routing tables that the agent may use, 1 to 250."""

    min: int
    """The first table."""
    max: int
    """The last table."""


class RouteTableIDRange(Fields, frozen=True, kw_only=True):
    """Routing tables that the agent may use."""

    min: int
    """The first table."""
    max: int
    """The last table."""


class FelixDataplane(FelixProcess, frozen=True, kw_only=True):
    """What every dataplane does: interfaces, routes, NAT, endpoints."""

    allow_ipip_packets_from_workloads: bool | None = None
    """Let workloads send IP-in-IP packets, which could get round policy. Absent: false."""
    allow_vxlan_packets_from_workloads: bool | None = None
    """Let workloads send VXLAN packets, which could get round policy. Absent: false."""
    cgroup_v2_path: str = ""
    """Where the cgroup v2 file system is mounted, a path. Absent: found out."""
    chain_insert_mode: Annotated[str, matching(r"^(?i)(Insert|Append)?$")] = ""
    """Whether the agent's jumps come first (Insert) or last (Append) in the chains of iptables.
    Absent: Insert."""
    dataplane_driver: str = ""
    """Program that does the dataplane's work where `use_internal_dataplane_driver` is false, a
    path or a name in PATH. Absent: calico-iptables-plugin."""
    dataplane_watchdog_timeout: str = ""
    """Silence of the dataplane after which the agent is held to be ill, a duration; 0: never.
    Absent: 1m30s."""
    default_endpoint_to_host_action: Annotated[str, matching(r"^(?i)(Drop|Accept|Return)?$")] = ""
    """What becomes of packets from a workload to its own node that no rule of the host decides.
    Absent: Drop."""
    device_route_protocol: int | None = None
    """Protocol number, 0 to 255, that the agent's routes bear, so that it knows them. Absent: 3."""
    device_route_source_address: Annotated[str, Meta(max_length=45)] = ""
    """IPv4 address that the node uses as source towards its workloads. Absent: the kernel's
    choice."""
    device_route_source_address_ipv6: Annotated[str, Meta(max_length=45)] = ""
    """IPv6 address that the node uses as source towards its workloads. Absent: the kernel's
    choice."""
    disable_conntrack_invalid_check: bool | None = None
    """Let packets pass that connection tracking finds invalid, where they would be dropped.
    Absent: false."""
    endpoint_status_path_prefix: str = ""
    """Directory below which the state of each endpoint is written for the CNI plugin, a path.
    Absent: /var/run/calico."""
    external_nodes_list: Annotated[tuple[str, ...], NO_LIST_TYPE] = ()
    """IPv4 CIDRs or addresses of hosts outside the cluster that may send tunnelled packets to
    the node."""
    failsafe_inbound_host_ports: Annotated[tuple[ProtoPort, ...], NO_LIST_TYPE] | None = None
    """Ports of the node that no policy closes. Empty: none. Absent: tcp 22, 179, 2379, 2380, 5473,
    6443, 6666, 6667 and udp 68."""
    failsafe_outbound_host_ports: Annotated[tuple[ProtoPort, ...], NO_LIST_TYPE] | None = None
    """Ports that the node may reach whatever policy says. Empty: none. Absent: tcp 179, 2379,
    2380, 5473, 6443, 6666, 6667 and udp 53, 67."""
    floating_ips: Switch = ""
    """One-to-one NAT of the addresses that a workload's annotation names. Absent: Disabled."""
    interface_exclude: str = ""
    """Interfaces whose state does not matter: names, or regular expressions between slashes,
    with commas between. Absent: kube-ipvs0."""
    interface_prefix: str = ""
    """Beginnings of the names of workloads' interfaces, with commas between, 1 to 15 characters
    each. Absent: cali."""
    interface_refresh_interval: Duration = ""
    """Time between looks at all interfaces, a duration; 0: never. Absent: 1m30s."""
    ip_forwarding: Switch = ""
    """Turn on forwarding of packets in the kernel; Disabled: leave it as it is, on nodes without
    workloads. Absent: Enabled."""
    ipv4_elevated_route_priority: int | None = None
    """The kernel's priority of IPv4 routes that go before others while a VM moves, 1 to
    2147483646. Absent: 512."""
    ipv4_normal_route_priority: int | None = None
    """The kernel's priority of the agent's IPv4 routes, 1 to 2147483646; lower comes first.
    Absent: 1024."""
    ipv6_elevated_route_priority: int | None = None
    """The kernel's priority of IPv6 routes that go before others while a VM moves, 1 to
    2147483646. Absent: 512."""
    ipv6_normal_route_priority: int | None = None
    """The kernel's priority of the agent's IPv6 routes, 1 to 2147483646; lower comes first.
    Absent: 1024."""
    ipv6_support: bool | None = None
    """Program policy and routes for IPv6 too. Absent: true."""
    istio_ambient_mode: Switch = ""
    """Let Istio's ambient mesh take the traffic of its pods. Absent: Disabled."""
    istio_dscp_mark: IntOrText | None = field(default=None, name="istioDSCPMark")
    """DSCP that Istio's packets are known by, 0 to 63 or a name such as AF11. Absent: 23."""
    live_migration_route_convergence_time: _PreciseDuration = ""
    """Time that routes keep their elevated priority after a VM has moved, a duration. Absent:
    30s."""
    local_subnet_l2_reachability: Literal["Disabled", "PodsAndLoadBalancers"] | Unset = ""
    """Answer ARP and neighbour requests of the node's subnet for pods and load balancers that
    have addresses of it. Absent: Disabled."""
    local_subnet_l2_reachability_refresh_interval: str = ""
    """Time between announcements of those addresses, a duration. Absent: 2m."""
    mtu_iface_pattern: str = ""
    """Regular expression of the node's interfaces that the MTU is taken from, the lowest of all.
    Absent: usual names of network cards."""
    nat_outgoing_address: Annotated[str, Meta(max_length=45)] = ""
    """IPv4 address that packets with outgoing NAT leave with. Absent: that of the interface they
    leave through."""
    nat_outgoing_exclusions: Literal["IPPoolsOnly", "IPPoolsAndHostIPs"] | Unset = ""
    """Destinations without outgoing NAT: addresses of pools, or those and the nodes' own.
    Absent: IPPoolsOnly."""
    nat_port_range: IntOrText | None = None
    """Source ports for outgoing NAT: "first:last" or one number, 0 to 65535; 0: the kernel's
    choice. Absent: 0."""
    netlink_timeout: Duration = ""
    """Time that the kernel may take to answer, a duration. Absent: 10s."""
    nftables_flow_table_data_iface_pattern: str = ""
    """Regular expression of the node's interfaces whose connections may be offloaded. Absent:
    usual names of network cards."""
    nftables_flow_table_offload: Literal["All", "Disabled"] = "Disabled"
    """Connections that skip the rules once they are allowed: All, or none (Disabled). Absent:
    Disabled."""
    nftables_mode: Literal["Disabled", "Enabled", "Auto"] = "Auto"
    """Whether rules are written for nftables rather than iptables; Auto: as kube-proxy does.
    Absent: Auto."""
    policy_sync_path_prefix: str = ""
    """Directory below which sockets tell policy to the proxies of workloads, a path. Absent:
    none."""
    program_cluster_routes: ClusterRoutes | Unset = ""
    """Pools whose routes the agent programs, the rest being BGP's: all (Enabled), none
    (Disabled), those with IP-in-IP, or those without tunnel. Absent: EnabledIPIPOnly."""
    remove_external_routes: bool | None = None
    """Remove routes to workloads' interfaces that somebody else made. Absent: true."""
    require_mtu_file: bool | None = field(default=None, name="requireMTUFile")
    """Wait for the file that tells the MTU before anything else. Absent: false."""
    route_refresh_interval: Duration = ""
    """Time between comparisons of all routes with the kernel's, a duration; 0: never. Absent:
    1m30s."""
    route_source: Annotated[str, matching(r"^(?i)(WorkloadIPs|CalicoIPAM)?$")] = ""
    """Where routes to other nodes' workloads come from: their address blocks, or each workload's
    address. Absent: CalicoIPAM."""
    route_sync_disabled: bool | None = None
    """Leave all routes alone: somebody else makes them. Absent: false."""
    route_table_range: RouteTableRange | None = None
    """Deprecated: use `route_table_ranges`. Routing tables that the agent may use."""
    route_table_ranges: Annotated[tuple[RouteTableIDRange, ...], NO_LIST_TYPE] = ()
    """Routing tables that the agent may use, at most 65535 in all. Absent: 1 to 250."""
    service_loop_prevention: Annotated[str, matching(r"^(?i)(Drop|Reject|Disabled)?$")] = ""
    """What becomes of packets to Services' addresses that no Service has, which would go in
    circles. Absent: Drop."""
    sidecar_acceleration_enabled: bool | None = None
    """Speed up connections between a workload and its proxy. Experimental. Absent: false."""
    use_internal_dataplane_driver: bool | None = None
    """The agent programs the kernel itself; false: `dataplane_driver` does. Absent: true."""
    workload_source_spoofing: Annotated[str, matching(r"^(?i)(Disabled|Any)?$")] = ""
    """Whether workloads may ask, by annotation, to send from addresses that are not theirs
    (Any). Absent: Disabled."""
