"""The eBPF dataplane."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api.calico.felix.filters import FelixFilters
from tortie.api.fields import (
    NO_LIST_TYPE,
    Duration,
    Fields,
    IntOrText,
    Switch,
    Unset,
    matching,
)

_Timeout = Annotated[
    str,
    matching(
        r"^(([0-9]*(\.[0-9]*)?(ms|s|h|m|us)+)+|Auto)$",
        # No group is possessive: Python before 3.11.5 takes "5s10" then.
        python=r"^(?:(?:[0-9]*+(?:\.[0-9]*+)?(?:ms|us|s|h|m(?!s)))+|Auto)\Z",
    ),
]

_EnforceRpf = Annotated[str, matching(r"^(?i)(Disabled|Strict|Loose)?$")]


class BpfConntrackTimeouts(Fields, frozen=True, kw_only=True):
    """How long connections are remembered; Auto: as long as the kernel's own tracking does."""

    creation_grace_period: _Timeout = ""
    """Age that a new entry must have before it may be removed, a duration. Absent: 10s."""
    tcp_syn_sent: _Timeout = ""
    """Silence after the first packet of a TCP connection, a duration or Auto. Absent: 20s."""
    tcp_established: _Timeout = ""
    """Silence of an established TCP connection, a duration or Auto. Absent: 1h."""
    tcp_fins_seen: _Timeout = ""
    """Silence once both ends have closed a TCP connection, a duration or Auto. Absent: Auto."""
    tcp_reset_seen: _Timeout = ""
    """Silence once an end has reset a TCP connection, a duration or Auto. Absent: 40s."""
    udp_timeout: _Timeout = ""
    """Silence between packets of UDP, a duration or Auto. Absent: 60s."""
    generic_timeout: _Timeout = ""
    """Silence between packets of other protocols, a duration or Auto. Absent: 10m."""
    icmp_timeout: _Timeout = ""
    """Silence between packets of ICMP, a duration or Auto. Absent: 5s."""


class FelixBpf(FelixFilters, frozen=True, kw_only=True):
    """The eBPF dataplane."""

    bpf_attach_type: Literal["TC", "TCX", "Netkit"] | Unset = ""
    """Hook that programs are attached to: the classic traffic control, its successor TCX, or
    Netkit devices. Absent: Netkit."""
    bpf_ctlb_log_filter: str = field(default="", name="bpfCTLBLogFilter")
    """Which programs of connect-time load balancing log: "all". Absent: none."""
    bpf_connect_time_load_balancing: Literal["TCP", "Enabled", "Disabled"] | Unset = ""
    """Connections whose Service is resolved when they are opened: of TCP, all (Enabled), none
    (Disabled). Absent: TCP."""
    bpf_connect_time_load_balancing_enabled: bool | None = None
    """Deprecated: use `bpf_connect_time_load_balancing`. Resolve Services when connections are
    opened. Absent: false."""
    bpf_conntrack_log_level: Literal["Off", "Debug"] | Unset = ""
    """How much the cleaning of the connection table logs. Absent: Off."""
    bpf_conntrack_mode: Literal["Auto", "Userspace", "BPFProgram"] | Unset = ""
    """Who cleans the connection table: the agent (Userspace) or a program in the kernel. Absent:
    Auto."""
    bpf_conntrack_timeouts: BpfConntrackTimeouts | None = None
    """Silence after which connections are forgotten."""
    bpf_dsr_optout_cidrs: Annotated[tuple[str, ...], NO_LIST_TYPE] = field(
        default=(), name="bpfDSROptoutCIDRs"
    )
    """CIDRs of clients whose answers go back through the node that they came to, although
    `bpf_external_service_mode` is DSR."""
    bpf_data_iface_pattern: str = ""
    """Regular expression of the node's interfaces that programs are attached to. Absent: usual
    names of network cards."""
    bpf_disable_gro_for_ifaces: str = field(default="", name="bpfDisableGROForIfaces")
    """Regular expression of interfaces whose generic receive offload is turned off. Absent:
    none."""
    bpf_disable_unprivileged: bool | None = None
    """Forbid eBPF to all but root, in the kernel. Absent: true."""
    bpf_enabled: bool | None = None
    """Use the eBPF dataplane. Absent: false."""
    bpf_enforce_rpf: _EnforceRpf = field(default="", name="bpfEnforceRPF")
    """Check of the node's interfaces that answers to a packet's source would go back the same
    way (Strict) or any way (Loose). Absent: Loose."""
    bpf_exclude_cidrs_from_nat: Annotated[tuple[str, ...], NO_LIST_TYPE] = ()
    """CIDRs of Services' addresses that are left to others."""
    bpf_export_buffer_size_mb: int | None = field(default=None, name="bpfExportBufferSizeMB")
    """Size of the buffer that events of programs come through, in MB. Absent: 1."""
    bpf_ext_to_service_connmark: int | None = None
    """Mark of 32 bits for connections from outside to a Service, so that answers take the same
    interface; 0: none. Absent: 0."""
    bpf_external_service_mode: Annotated[str, matching(r"^(?i)(Tunnel|DSR)?$")] = ""
    """How packets from outside reach a Service's pod on another node: answers come back through
    the first node (Tunnel) or go straight (DSR). Absent: Tunnel."""
    bpf_force_track_packets_from_ifaces: Annotated[tuple[str, ...], NO_LIST_TYPE] | None = None
    """Interfaces (a + at the end stands for anything) whose packets go through the kernel's own
    connection tracking too. Empty: none. Absent: docker+."""
    bpf_host_conntrack_bypass: bool | None = None
    """Skip the kernel's own connection tracking for packets between the node and its workloads.
    Absent: false."""
    bpf_host_networked_nat_without_ctlb: Switch = field(
        default="", name="bpfHostNetworkedNATWithoutCTLB"
    )
    """Resolve Services for the node's own processes where connect-time load balancing does not.
    Absent: Enabled."""
    bpf_ip_frag_timeout: Duration = ""
    """Time that fragments wait for the rest of their packet, a duration. Absent: 0s."""
    bpf_ip_fragment_reassembly_enabled: bool | None = None
    """Put fragmented packets together, so that policy sees the ports of all fragments. Absent:
    true."""
    bpf_jit_hardening: Literal["Auto", "Strict"] | Unset = field(default="", name="bpfJITHardening")
    """Whether the kernel's hardening of compiled programs stays as strict as it is, or is
    lowered where it slows them much (Auto). Absent: Auto."""
    bpf_kube_proxy_healthz_port: int | None = None
    """TCP port at which health is served in kube-proxy's place; 0: none. Absent: 10256."""
    bpf_kube_proxy_iptables_cleanup_enabled: bool | None = None
    """Remove the rules that kube-proxy left behind. Absent: true."""
    bpf_kube_proxy_min_sync_period: Duration = ""
    """Least time between two updates of the Services, a duration. Absent: 1s."""
    bpf_l3_iface_pattern: str = ""
    """Regular expression of the node's interfaces without Ethernet headers, such as tunnels,
    that programs are attached to. Absent: none."""
    bpf_log_filters: dict[str, str] = field(default_factory=dict)
    """Interface (or "all", "weps", "heps") to a filter of packets, as tcpdump has it: only those
    are logged."""
    bpf_log_level: Annotated[str, matching(r"^(?i)(Off|Info|Debug)?$")] = ""
    """How much programs log, to the kernel's trace pipe. Absent: Off."""
    bpf_maglev_max_endpoints_per_service: int | None = None
    """The most endpoints of one Service with Maglev's hashing, 1 to 3000. Absent: 100."""
    bpf_maglev_max_services: int | None = None
    """The most Services with Maglev's hashing, 1 to 3000. Absent: 100."""
    bpf_map_size_conntrack: int | None = None
    """The most connections that are tracked. Absent: 512000."""
    bpf_map_size_conntrack_cleanup_queue: Annotated[int, Meta(ge=1)] | None = None
    """The most connections that wait to be forgotten at once. Absent: 100000."""
    bpf_map_size_conntrack_scaling: Annotated[str, matching(r"^(?i)(Disabled|DoubleIfFull)?$")] = ""
    """Whether the connection table doubles when it is full. Absent: DoubleIfFull."""
    bpf_map_size_ipsets: int | None = field(default=None, name="bpfMapSizeIPSets")
    """The most members of all IP sets together. Absent: 1048576."""
    bpf_map_size_if_state: int | None = None
    """The most interfaces. Absent: 1000."""
    bpf_map_size_nat_affinity: int | None = None
    """The most clients that stay with the endpoint they got first. Absent: 65536."""
    bpf_map_size_nat_backend: int | None = None
    """The most endpoints of all Services together. Absent: 262144."""
    bpf_map_size_nat_frontend: int | None = None
    """The most addresses with port of all Services together. Absent: 65536."""
    bpf_map_size_per_cpu_conntrack: int | None = None
    """Connections that are tracked, for each processor; not 0: in the place of
    `bpf_map_size_conntrack`. Absent: 0."""
    bpf_map_size_route: int | None = None
    """The most routes. Absent: 262144."""
    bpf_overlay_host_source_ip: Literal["TunnelAddress", "HostAddress"] | Unset = ""
    """Source address of the node's own packets into a tunnel: the tunnel's or the node's.
    Absent: TunnelAddress."""
    bpf_psnat_ports: IntOrText | None = field(default=None, name="bpfPSNATPorts")
    """Source ports for connections whose own port is in use already: "first:last" or one number.
    Absent: 20000:29999."""
    bpf_policy_debug_enabled: bool | None = None
    """Keep notes beside each program, so that its policy can be shown. Absent: true."""
    bpf_profiling: Switch = ""
    """Measure how long programs run. Absent: Disabled."""
    bpf_redirect_to_peer: Switch = ""
    """Hand packets over straight into the workload's namespace, where that is possible. Absent:
    Enabled."""
