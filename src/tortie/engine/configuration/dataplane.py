"""What every dataplane does: interfaces, routes, NAT, endpoints."""

from typing import Annotated

from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.process import ProcessParameters
from tortie.engine.configuration.readers import (
    BOOLEAN,
    CIDRS,
    DSCP,
    EXPRESSION,
    FAILSAFES,
    INTERFACES,
    PATH,
    PORT_RANGE,
    SECONDS,
    SWITCH,
    TABLE_RANGE,
    TABLE_RANGES,
    TEXT,
    TableRange,
    address,
    integer,
    matching,
    one_of,
)
from tortie.net import PortRange, Prefix
from tortie.policy.program import Failsafe


class DataplaneParameters(ProcessParameters, frozen=True, kw_only=True):
    """What every dataplane does: interfaces, routes, NAT, endpoints."""

    # Dataplane: Common
    allow_ipip_packets_from_workloads: Annotated[
        bool, Parameter("AllowIPIPPacketsFromWorkloads", BOOLEAN, "false", used=True)
    ]
    allow_vxlan_packets_from_workloads: Annotated[
        bool, Parameter("AllowVXLANPacketsFromWorkloads", BOOLEAN, "false", used=True)
    ]
    cgroup_v2_path: Annotated[str, Parameter("CgroupV2Path", TEXT)]
    chain_insert_mode: Annotated[
        str,
        Parameter(
            "ChainInsertMode", one_of("append", "insert"), "insert", required=True, fatal=True
        ),
    ]
    dataplane_driver: Annotated[
        str, Parameter("DataplaneDriver", PATH, "calico-iptables-plugin", required=True, fatal=True)
    ]
    dataplane_watchdog_timeout: Annotated[
        float, Parameter("DataplaneWatchdogTimeout", SECONDS, "90", used=True)
    ]
    default_endpoint_to_host_action: Annotated[
        str,
        Parameter(
            "DefaultEndpointToHostAction",
            one_of("ACCEPT", "DROP", "RETURN"),
            "DROP",
            required=True,
            fatal=True,
            used=True,
        ),
    ]
    device_route_protocol: Annotated[
        int, Parameter("DeviceRouteProtocol", integer(1, 255), "3", required=True, used=True)
    ]
    device_route_source_address: Annotated[
        Prefix | None, Parameter("DeviceRouteSourceAddress", address(4), used=True)
    ]
    device_route_source_address_ipv6: Annotated[
        Prefix | None, Parameter("DeviceRouteSourceAddressIPv6", address(6), used=True)
    ]
    disable_conntrack_invalid_check: Annotated[
        bool, Parameter("DisableConntrackInvalidCheck", BOOLEAN, "false", used=True)
    ]
    endpoint_status_path_prefix: Annotated[
        str, Parameter("EndpointStatusPathPrefix", PATH, "/var/run/calico")
    ]
    external_nodes_cidr_list: Annotated[
        tuple[Prefix, ...],
        Parameter("ExternalNodesCIDRList", CIDRS, yaml="externalNodesList", fatal=True, used=True),
    ]
    failsafe_inbound_host_ports: Annotated[
        tuple[Failsafe, ...],
        Parameter(
            "FailsafeInboundHostPorts",
            FAILSAFES,
            "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667",
            used=True,
        ),
    ]
    failsafe_outbound_host_ports: Annotated[
        tuple[Failsafe, ...],
        Parameter(
            "FailsafeOutboundHostPorts",
            FAILSAFES,
            "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667",
            used=True,
        ),
    ]
    floating_ips: Annotated[str, Parameter("FloatingIPs", SWITCH, "Disabled", used=True)]
    ip_forwarding: Annotated[str, Parameter("IPForwarding", SWITCH, "Enabled", used=True)]
    ipv4_elevated_route_priority: Annotated[
        int,
        Parameter(
            "IPv4ElevatedRoutePriority",
            integer(1, 2147483646),
            "512",
            yaml="ipv4ElevatedRoutePriority",
        ),
    ]
    ipv4_normal_route_priority: Annotated[
        int,
        Parameter(
            "IPv4NormalRoutePriority",
            integer(1, 2147483646),
            "1024",
            yaml="ipv4NormalRoutePriority",
            required=True,
            used=True,
        ),
    ]
    ipv6_elevated_route_priority: Annotated[
        int,
        Parameter(
            "IPv6ElevatedRoutePriority",
            integer(1, 2147483646),
            "512",
            yaml="ipv6ElevatedRoutePriority",
        ),
    ]
    ipv6_normal_route_priority: Annotated[
        int,
        Parameter(
            "IPv6NormalRoutePriority",
            integer(1, 2147483646),
            "1024",
            yaml="ipv6NormalRoutePriority",
            required=True,
            used=True,
        ),
    ]
    interface_exclude: Annotated[
        tuple[str, ...], Parameter("InterfaceExclude", INTERFACES, "kube-ipvs0", used=True)
    ]
    interface_prefix: Annotated[
        str,
        Parameter(
            "InterfacePrefix",
            matching(r"^[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*$"),
            "cali",
            required=True,
            fatal=True,
            used=True,
        ),
    ]
    interface_refresh_interval: Annotated[
        float, Parameter("InterfaceRefreshInterval", SECONDS, "90", used=True)
    ]
    ipv6_support: Annotated[bool, Parameter("Ipv6Support", BOOLEAN, "true")]
    istio_ambient_mode: Annotated[str, Parameter("IstioAmbientMode", SWITCH, "Disabled")]
    istio_dscp_mark: Annotated[int, Parameter("IstioDSCPMark", DSCP, "23")]
    live_migration_route_convergence_time: Annotated[
        float, Parameter("LiveMigrationRouteConvergenceTime", SECONDS, "30")
    ]
    local_subnet_l2_reachability: Annotated[
        str,
        Parameter(
            "LocalSubnetL2Reachability", one_of("Disabled", "PodsAndLoadBalancers"), "Disabled"
        ),
    ]
    local_subnet_l2_reachability_refresh_interval: Annotated[
        float, Parameter("LocalSubnetL2ReachabilityRefreshInterval", SECONDS, "120")
    ]
    mtu_iface_pattern: Annotated[
        str,
        Parameter(
            "MTUIfacePattern",
            EXPRESSION,
            "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)",
            used=True,
        ),
    ]
    nat_outgoing_address: Annotated[
        Prefix | None, Parameter("NATOutgoingAddress", address(4), used=True)
    ]
    nat_outgoing_exclusions: Annotated[
        str,
        Parameter(
            "NATOutgoingExclusions",
            one_of("IPPoolsAndHostIPs", "IPPoolsOnly"),
            "IPPoolsOnly",
            used=True,
        ),
    ]
    nat_port_range: Annotated[PortRange | None, Parameter("NATPortRange", PORT_RANGE, used=True)]
    nftables_flow_table_data_iface_pattern: Annotated[
        str,
        Parameter(
            "NFTablesFlowTableDataIfacePattern",
            EXPRESSION,
            yaml="nftablesFlowTableDataIfacePattern",
        ),
    ]
    nftables_flow_table_offload: Annotated[
        str,
        Parameter(
            "NFTablesFlowTableOffload",
            one_of("All", "Disabled"),
            "Disabled",
            yaml="nftablesFlowTableOffload",
        ),
    ]
    nftables_mode: Annotated[
        str,
        Parameter(
            "NFTablesMode",
            one_of("Auto", "Disabled", "Enabled"),
            "Auto",
            yaml="nftablesMode",
            used=True,
        ),
    ]
    netlink_timeout_secs: Annotated[
        float, Parameter("NetlinkTimeoutSecs", SECONDS, "10", yaml="netlinkTimeout", used=True)
    ]
    policy_sync_path_prefix: Annotated[str, Parameter("PolicySyncPathPrefix", PATH)]
    program_cluster_routes: Annotated[
        str,
        Parameter(
            "ProgramClusterRoutes",
            one_of("Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly", "Enabled"),
            "EnabledIPIPOnly",
            used=True,
        ),
    ]
    remove_external_routes: Annotated[
        bool, Parameter("RemoveExternalRoutes", BOOLEAN, "true", used=True)
    ]
    require_mtu_file: Annotated[bool, Parameter("RequireMTUFile", BOOLEAN, "false", used=True)]
    route_refresh_interval: Annotated[
        float, Parameter("RouteRefreshInterval", SECONDS, "90", used=True)
    ]
    route_source: Annotated[
        str, Parameter("RouteSource", one_of("CalicoIPAM", "WorkloadIPs"), "CalicoIPAM", used=True)
    ]
    route_sync_disabled: Annotated[
        bool, Parameter("RouteSyncDisabled", BOOLEAN, "false", used=True)
    ]
    route_table_range: Annotated[
        TableRange | None, Parameter("RouteTableRange", TABLE_RANGE, fatal=True, used=True)
    ]
    route_table_ranges: Annotated[
        tuple[TableRange, ...], Parameter("RouteTableRanges", TABLE_RANGES, fatal=True, used=True)
    ]
    service_loop_prevention: Annotated[
        str,
        Parameter("ServiceLoopPrevention", one_of("Disabled", "Drop", "Reject"), "Drop", used=True),
    ]
    sidecar_acceleration_enabled: Annotated[
        bool, Parameter("SidecarAccelerationEnabled", BOOLEAN, "false")
    ]
    use_internal_dataplane_driver: Annotated[
        bool, Parameter("UseInternalDataplaneDriver", BOOLEAN, "true")
    ]
    workload_source_spoofing: Annotated[
        str, Parameter("WorkloadSourceSpoofing", one_of("Any", "Disabled"), "Disabled", used=True)
    ]
