"""Packet filters, OpenStack, flow logs and the rest."""

from typing import Annotated

from tortie.engine.configuration.dataplane import DataplaneParameters
from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.readers import (
    ALLOW_ACTION,
    BOOLEAN,
    DENY_ACTION,
    MASK,
    MILLISECONDS,
    PORT_RANGES,
    REGION,
    SECONDS,
    SWITCH,
    TEXT,
    integer,
    matching,
    one_of,
)
from tortie.net import PortRange


class FilterParameters(DataplaneParameters, frozen=True, kw_only=True):
    """Packet filters, OpenStack, flow logs and the rest."""

    # Dataplane: ours
    end_denied_flows: Annotated[
        str, Parameter("EndDeniedFlows", SWITCH, "Disabled", used=True, own=True)
    ]

    # Dataplane: iptables
    ipsets_refresh_interval: Annotated[
        float, Parameter("IpsetsRefreshInterval", SECONDS, "90", used=True)
    ]
    iptables_backend: Annotated[
        str, Parameter("IptablesBackend", one_of("auto", "legacy", "nft"), "auto", used=True)
    ]
    iptables_filter_allow_action: Annotated[
        str,
        Parameter(
            "IptablesFilterAllowAction",
            ALLOW_ACTION,
            "ACCEPT",
            required=True,
            fatal=True,
            used=True,
        ),
    ]
    iptables_filter_deny_action: Annotated[
        str,
        Parameter(
            "IptablesFilterDenyAction", DENY_ACTION, "DROP", required=True, fatal=True, used=True
        ),
    ]
    iptables_lock_probe_interval_millis: Annotated[
        float,
        Parameter(
            "IptablesLockProbeIntervalMillis", MILLISECONDS, "50", yaml="iptablesLockProbeInterval"
        ),
    ]
    iptables_mangle_allow_action: Annotated[
        str,
        Parameter(
            "IptablesMangleAllowAction",
            ALLOW_ACTION,
            "ACCEPT",
            required=True,
            fatal=True,
            used=True,
        ),
    ]
    iptables_mark_mask: Annotated[
        int,
        Parameter("IptablesMarkMask", MASK, "0xffff0000", required=True, fatal=True, used=True),
    ]
    iptables_nat_outgoing_interface_filter: Annotated[
        str,
        Parameter(
            "IptablesNATOutgoingInterfaceFilter", matching(r"^[a-zA-Z0-9:._+-]{1,15}$"), used=True
        ),
    ]
    iptables_post_write_check_interval_secs: Annotated[
        float,
        Parameter(
            "IptablesPostWriteCheckIntervalSecs",
            SECONDS,
            "5",
            yaml="iptablesPostWriteCheckInterval",
        ),
    ]
    iptables_refresh_interval: Annotated[
        float, Parameter("IptablesRefreshInterval", SECONDS, "180", used=True)
    ]
    kube_node_port_ranges: Annotated[
        tuple[PortRange, ...],
        Parameter("KubeNodePortRanges", PORT_RANGES, "30000:32767", used=True),
    ]
    max_ipset_size: Annotated[
        int, Parameter("MaxIpsetSize", integer(), "1048576", required=True, used=True)
    ]

    # Dataplane: nftables
    nftables_filter_allow_action: Annotated[
        str,
        Parameter(
            "NftablesFilterAllowAction",
            ALLOW_ACTION,
            "ACCEPT",
            required=True,
            fatal=True,
            used=True,
        ),
    ]
    nftables_filter_deny_action: Annotated[
        str,
        Parameter(
            "NftablesFilterDenyAction", DENY_ACTION, "DROP", required=True, fatal=True, used=True
        ),
    ]
    nftables_mangle_allow_action: Annotated[
        str,
        Parameter(
            "NftablesMangleAllowAction",
            ALLOW_ACTION,
            "ACCEPT",
            required=True,
            fatal=True,
            used=True,
        ),
    ]
    nftables_mark_mask: Annotated[
        int, Parameter("NftablesMarkMask", MASK, "0xffff0000", required=True, fatal=True, used=True)
    ]
    nftables_refresh_interval: Annotated[
        float, Parameter("NftablesRefreshInterval", SECONDS, "180", used=True)
    ]

    # Dataplane: Windows
    windows_manage_firewall_rules: Annotated[
        str, Parameter("WindowsManageFirewallRules", SWITCH, "Disabled")
    ]

    # Dataplane: OpenStack support
    endpoint_reporting_delay_secs: Annotated[
        float, Parameter("EndpointReportingDelaySecs", SECONDS, "1", yaml="endpointReportingDelay")
    ]
    endpoint_reporting_enabled: Annotated[
        bool, Parameter("EndpointReportingEnabled", BOOLEAN, "false")
    ]
    metadata_addr: Annotated[
        str, Parameter("MetadataAddr", matching(r"^[a-zA-Z0-9_.-]+$"), "127.0.0.1", fatal=True)
    ]
    metadata_port: Annotated[int, Parameter("MetadataPort", integer(0, 65535), "8775", fatal=True)]
    openstack_region: Annotated[str, Parameter("OpenstackRegion", REGION, fatal=True)]
    reporting_interval_secs: Annotated[
        float,
        Parameter("ReportingIntervalSecs", SECONDS, "30", yaml="reportingInterval", used=True),
    ]
    reporting_ttl_secs: Annotated[
        float, Parameter("ReportingTTLSecs", SECONDS, "90", yaml="reportingTTL", used=True)
    ]

    # Dataplane: XDP acceleration for iptables dataplane
    generic_xdp_enabled: Annotated[bool, Parameter("GenericXDPEnabled", BOOLEAN, "false")]
    xdp_enabled: Annotated[bool, Parameter("XDPEnabled", BOOLEAN, "true")]
    xdp_refresh_interval: Annotated[float, Parameter("XDPRefreshInterval", SECONDS, "90")]

    # Flow logs: file reports
    flow_logs_collector_debug_trace: Annotated[
        bool, Parameter("FlowLogsCollectorDebugTrace", BOOLEAN, "false")
    ]
    flow_logs_flush_interval: Annotated[float, Parameter("FlowLogsFlushInterval", SECONDS, "300")]
    flow_logs_goldmane_server: Annotated[str, Parameter("FlowLogsGoldmaneServer", TEXT)]
    flow_logs_local_reporter: Annotated[str, Parameter("FlowLogsLocalReporter", SWITCH, "Disabled")]
    flow_logs_policy_evaluation_mode: Annotated[
        str, Parameter("FlowLogsPolicyEvaluationMode", one_of("Continuous", "None"), "Continuous")
    ]

    # AWS integration
    aws_src_dst_check: Annotated[
        str,
        Parameter(
            "AWSSrcDstCheck",
            one_of("Disable", "DoNothing", "Enable"),
            "DoNothing",
            required=True,
            used=True,
        ),
    ]
