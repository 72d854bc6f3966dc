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
        python=r"^(?:(?:[0-9]*+(?:\.[0-9]*+)?(?>ms|us|s|h|m))++|Auto)\Z",
    ),
]

_EnforceRpf = Annotated[str, matching(r"^(?i)(Disabled|Strict|Loose)?$")]


class BpfConntrackTimeouts(Fields, frozen=True, kw_only=True):
    """How long connections are remembered; Auto: as long as the kernel's own tracking does."""

    creation_grace_period: _Timeout = ""
    """Of a new entry before it may be removed. Absent: 10s."""
    tcp_syn_sent: _Timeout = ""
    """Absent: 20s."""
    tcp_established: _Timeout = ""
    """Absent: 1h."""
    tcp_fins_seen: _Timeout = ""
    """Absent: Auto."""
    tcp_reset_seen: _Timeout = ""
    """Absent: 40s."""
    udp_timeout: _Timeout = ""
    """Absent: 60s."""
    generic_timeout: _Timeout = ""
    """Absent: 10m."""
    icmp_timeout: _Timeout = ""
    """Absent: 5s."""


class FelixBpf(FelixFilters, frozen=True, kw_only=True):
    """The eBPF dataplane."""

    bpf_attach_type: Literal["TC", "TCX", "Netkit"] | Unset = ""
    """Absent: Netkit."""
    bpf_ctlb_log_filter: str = field(default="", name="bpfCTLBLogFilter")
    bpf_connect_time_load_balancing: Literal["TCP", "Enabled", "Disabled"] | Unset = ""
    """Absent: TCP."""
    bpf_connect_time_load_balancing_enabled: bool | None = None
    bpf_conntrack_log_level: Literal["Off", "Debug"] | Unset = ""
    """Absent: off."""
    bpf_conntrack_mode: Literal["Auto", "Userspace", "BPFProgram"] | Unset = ""
    """Absent: Auto."""
    bpf_conntrack_timeouts: BpfConntrackTimeouts | None = None
    """Comma-delimited list of key=value pairs."""
    bpf_dsr_optout_cidrs: Annotated[tuple[str, ...], NO_LIST_TYPE] = field(
        default=(), name="bpfDSROptoutCIDRs"
    )
    """Comma-delimited list of CIDRs."""
    bpf_data_iface_pattern: str = ""
    """Regular expression."""
    bpf_disable_gro_for_ifaces: str = field(default="", name="bpfDisableGROForIfaces")
    """Regular expression."""
    bpf_disable_unprivileged: bool | None = None
    """Absent: true."""
    bpf_enabled: bool | None = None
    """Absent: false."""
    bpf_enforce_rpf: _EnforceRpf = field(default="", name="bpfEnforceRPF")
    """Absent: Loose."""
    bpf_exclude_cidrs_from_nat: Annotated[tuple[str, ...], NO_LIST_TYPE] = ()
    """Comma-delimited list of CIDRs."""
    bpf_export_buffer_size_mb: int | None = field(default=None, name="bpfExportBufferSizeMB")
    """Absent: 1."""
    bpf_ext_to_service_connmark: int | None = None
    """Absent: 0."""
    bpf_external_service_mode: Annotated[str, matching(r"^(?i)(Tunnel|DSR)?$")] = ""
    """Absent: Tunnel."""
    bpf_force_track_packets_from_ifaces: Annotated[tuple[str, ...], NO_LIST_TYPE] = ()
    """Comma-delimited list of strings, each matching the regex ^[a-zA-Z0-9. Absent: docker+."""
    bpf_host_conntrack_bypass: bool | None = None
    """Absent: false."""
    bpf_host_networked_nat_without_ctlb: Switch = field(
        default="", name="bpfHostNetworkedNATWithoutCTLB"
    )
    """Absent: Enabled."""
    bpf_ip_frag_timeout: Duration = ""
    """A duration, as in 1m30s. Absent: 0s."""
    bpf_ip_fragment_reassembly_enabled: bool | None = None
    """Absent: true."""
    bpf_jit_hardening: Literal["Auto", "Strict"] | Unset = field(default="", name="bpfJITHardening")
    """Absent: Auto."""
    bpf_kube_proxy_healthz_port: int | None = None
    """Absent: 10256."""
    bpf_kube_proxy_iptables_cleanup_enabled: bool | None = None
    """Absent: true."""
    bpf_kube_proxy_min_sync_period: Duration = ""
    """A duration, as in 1m30s. Absent: 1s."""
    bpf_l3_iface_pattern: str = ""
    """Regular expression."""
    bpf_log_filters: dict[str, str] = field(default_factory=dict)
    """Comma-delimited list of key=value pairs."""
    bpf_log_level: Annotated[str, matching(r"^(?i)(Off|Info|Debug)?$")] = ""
    """Absent: Off."""
    bpf_maglev_max_endpoints_per_service: int | None = None
    """1 to 3000. Absent: 100."""
    bpf_maglev_max_services: int | None = None
    """1 to 3000. Absent: 100."""
    bpf_map_size_conntrack: int | None = None
    """Absent: 512000."""
    bpf_map_size_conntrack_cleanup_queue: Annotated[int, Meta(ge=1)] | None = None
    """Absent: 100000."""
    bpf_map_size_conntrack_scaling: Annotated[str, matching(r"^(?i)(Disabled|DoubleIfFull)?$")] = ""
    """Absent: DoubleIfFull."""
    bpf_map_size_ipsets: int | None = field(default=None, name="bpfMapSizeIPSets")
    """Absent: 1048576."""
    bpf_map_size_if_state: int | None = None
    """Absent: 1000."""
    bpf_map_size_nat_affinity: int | None = None
    """Absent: 65536."""
    bpf_map_size_nat_backend: int | None = None
    """Absent: 262144."""
    bpf_map_size_nat_frontend: int | None = None
    """Absent: 65536."""
    bpf_map_size_per_cpu_conntrack: int | None = None
    """Absent: 0."""
    bpf_map_size_route: int | None = None
    """Absent: 262144."""
    bpf_overlay_host_source_ip: Literal["TunnelAddress", "HostAddress"] | Unset = ""
    """Absent: TunnelAddress."""
    bpf_psnat_ports: IntOrText | None = field(default=None, name="bpfPSNATPorts")
    """Port range. Absent: 20000:29999."""
    bpf_policy_debug_enabled: bool | None = None
    """Absent: true."""
    bpf_profiling: Switch = ""
    """Absent: Disabled."""
    bpf_redirect_to_peer: Switch = ""
    """Absent: Enabled."""
