"""The eBPF dataplane."""

from typing import Annotated

from tortie.engine.configuration.filters import FilterParameters
from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.readers import (
    BOOLEAN,
    CIDRS,
    EXPRESSION,
    INTERFACE_NAMES,
    PAIRS,
    PORT_RANGE,
    SECONDS,
    SWITCH,
    integer,
    one_of,
)
from tortie.net import PortRange, Prefix


class BpfParameters(FilterParameters, frozen=True, kw_only=True):
    """The eBPF dataplane."""

    # Dataplane: eBPF
    bpf_attach_type: Annotated[
        str, Parameter("BPFAttachType", one_of("Netkit", "TCX", "TC"), "Netkit", required=True)
    ]
    bpf_ctlb_log_filter: Annotated[
        str, Parameter("BPFCTLBLogFilter", one_of("all"), yaml="bpfCTLBLogFilter")
    ]
    bpf_connect_time_load_balancing: Annotated[
        str,
        Parameter(
            "BPFConnectTimeLoadBalancing",
            one_of("Disabled", "Enabled", "TCP"),
            "TCP",
            required=True,
        ),
    ]
    bpf_connect_time_load_balancing_enabled: Annotated[
        bool | None, Parameter("BPFConnectTimeLoadBalancingEnabled", BOOLEAN)
    ]
    bpf_conntrack_cleanup_mode: Annotated[
        str,
        Parameter(
            "BPFConntrackCleanupMode",
            one_of("Auto", "BPFProgram", "Userspace"),
            "Auto",
            yaml="bpfConntrackMode",
        ),
    ]
    bpf_conntrack_log_level: Annotated[
        str, Parameter("BPFConntrackLogLevel", one_of("debug", "off"), "off", required=True)
    ]
    bpf_conntrack_timeouts: Annotated[
        tuple[tuple[str, str], ...],
        Parameter(
            "BPFConntrackTimeouts",
            PAIRS,
            "CreationGracePeriod=10s,TCPSynSent=20s,TCPEstablished=1h,TCPFinsSeen=Auto,TCPResetSeen=40s,UDPTimeout=60s,GenericTimeout=10m,ICMPTimeout=5s",
        ),
    ]
    bpf_dsr_optout_cidrs: Annotated[
        tuple[Prefix, ...], Parameter("BPFDSROptoutCIDRs", CIDRS, yaml="bpfDSROptoutCIDRs")
    ]
    bpf_data_iface_pattern: Annotated[
        str,
        Parameter(
            "BPFDataIfacePattern", EXPRESSION, "^((en|wl|ww|sl|ib)[Popsx].*|(eth|wlan|wwan|bond).*)"
        ),
    ]
    bpf_disable_gro_for_ifaces: Annotated[str, Parameter("BPFDisableGROForIfaces", EXPRESSION)]
    bpf_disable_unprivileged: Annotated[bool, Parameter("BPFDisableUnprivileged", BOOLEAN, "true")]
    bpf_enabled: Annotated[bool, Parameter("BPFEnabled", BOOLEAN, "false")]
    bpf_enforce_rpf: Annotated[
        str,
        Parameter("BPFEnforceRPF", one_of("Disabled", "Loose", "Strict"), "Loose", required=True),
    ]
    bpf_exclude_cidrs_from_nat: Annotated[
        tuple[Prefix, ...], Parameter("BPFExcludeCIDRsFromNAT", CIDRS)
    ]
    bpf_export_buffer_size_mb: Annotated[
        int, Parameter("BPFExportBufferSizeMB", integer(), "1", required=True)
    ]
    bpf_ext_to_service_connmark: Annotated[
        int, Parameter("BPFExtToServiceConnmark", integer(), "0")
    ]
    bpf_external_service_mode: Annotated[
        str, Parameter("BPFExternalServiceMode", one_of("dsr", "tunnel"), "tunnel", required=True)
    ]
    bpf_force_track_packets_from_ifaces: Annotated[
        tuple[str, ...], Parameter("BPFForceTrackPacketsFromIfaces", INTERFACE_NAMES, "docker+")
    ]
    bpf_host_conntrack_bypass: Annotated[
        bool, Parameter("BPFHostConntrackBypass", BOOLEAN, "false")
    ]
    bpf_host_networked_nat_without_ctlb: Annotated[
        str, Parameter("BPFHostNetworkedNATWithoutCTLB", SWITCH, "Enabled", required=True)
    ]
    bpf_ip_frag_timeout: Annotated[
        float, Parameter("BPFIPFragTimeout", SECONDS, "0", yaml="bpfIPFragTimeout")
    ]
    bpf_ip_fragment_reassembly_enabled: Annotated[
        bool,
        Parameter(
            "BPFIPFragmentReassemblyEnabled", BOOLEAN, "true", yaml="bpfIPFragmentReassemblyEnabled"
        ),
    ]
    bpf_jit_hardening: Annotated[
        str,
        Parameter(
            "BPFJITHardening",
            one_of("Auto", "Strict"),
            "Auto",
            yaml="bpfJITHardening",
            required=True,
        ),
    ]
    bpf_kube_proxy_healthz_port: Annotated[
        int, Parameter("BPFKubeProxyHealthzPort", integer(), "10256")
    ]
    bpf_kube_proxy_iptables_cleanup_enabled: Annotated[
        bool, Parameter("BPFKubeProxyIptablesCleanupEnabled", BOOLEAN, "true")
    ]
    bpf_kube_proxy_min_sync_period: Annotated[
        float, Parameter("BPFKubeProxyMinSyncPeriod", SECONDS, "1")
    ]
    bpf_l3_iface_pattern: Annotated[
        str, Parameter("BPFL3IfacePattern", EXPRESSION, yaml="bpfL3IfacePattern")
    ]
    bpf_log_filters: Annotated[tuple[tuple[str, str], ...], Parameter("BPFLogFilters", PAIRS)]
    bpf_log_level: Annotated[
        str, Parameter("BPFLogLevel", one_of("debug", "info", "off"), "off", required=True)
    ]
    bpf_maglev_max_endpoints_per_service: Annotated[
        int, Parameter("BPFMaglevMaxEndpointsPerService", integer(1, 3000), "100")
    ]
    bpf_maglev_max_services: Annotated[
        int, Parameter("BPFMaglevMaxServices", integer(1, 3000), "100")
    ]
    bpf_map_size_conntrack: Annotated[
        int, Parameter("BPFMapSizeConntrack", integer(), "512000", required=True)
    ]
    bpf_map_size_conntrack_cleanup_queue: Annotated[
        int, Parameter("BPFMapSizeConntrackCleanupQueue", integer(), "100000", required=True)
    ]
    bpf_map_size_conntrack_scaling: Annotated[
        str,
        Parameter(
            "BPFMapSizeConntrackScaling",
            one_of("Disabled", "DoubleIfFull"),
            "DoubleIfFull",
            required=True,
        ),
    ]
    bpf_map_size_ipsets: Annotated[
        int, Parameter("BPFMapSizeIPSets", integer(), "1048576", required=True)
    ]
    bpf_map_size_if_state: Annotated[
        int, Parameter("BPFMapSizeIfState", integer(), "1000", required=True)
    ]
    bpf_map_size_nat_affinity: Annotated[
        int, Parameter("BPFMapSizeNATAffinity", integer(), "65536", required=True)
    ]
    bpf_map_size_nat_backend: Annotated[
        int, Parameter("BPFMapSizeNATBackend", integer(), "262144", required=True)
    ]
    bpf_map_size_nat_frontend: Annotated[
        int, Parameter("BPFMapSizeNATFrontend", integer(), "65536", required=True)
    ]
    bpf_map_size_per_cpu_conntrack: Annotated[
        int,
        Parameter("BPFMapSizePerCPUConntrack", integer(), "0", yaml="bpfMapSizePerCpuConntrack"),
    ]
    bpf_map_size_route: Annotated[
        int, Parameter("BPFMapSizeRoute", integer(), "262144", required=True)
    ]
    bpf_overlay_host_source_ip: Annotated[
        str,
        Parameter(
            "BPFOverlayHostSourceIP",
            one_of("HostAddress", "TunnelAddress"),
            "TunnelAddress",
            required=True,
        ),
    ]
    bpf_psnat_ports: Annotated[
        PortRange, Parameter("BPFPSNATPorts", PORT_RANGE, "20000:29999", yaml="bpfPSNATPorts")
    ]
    bpf_policy_debug_enabled: Annotated[bool, Parameter("BPFPolicyDebugEnabled", BOOLEAN, "true")]
    bpf_profiling: Annotated[str, Parameter("BPFProfiling", SWITCH, "Disabled", required=True)]
    bpf_redirect_to_peer: Annotated[
        str,
        Parameter(
            "BPFRedirectToPeer", one_of("Disabled", "Enabled", "L2Only"), "Enabled", required=True
        ),
    ]
