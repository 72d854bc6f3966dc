"""Why nothing acts on some of Calico's parameters, for the documentation and for who sets one."""

_GO = "there is no Go runtime here"
_ITSELF = "the agent programs the kernel itself"
_REPORTS = "nothing is reported to anybody"
_MIGRATION = "no workload moves between nodes while it runs, yet"
_LOCAL_NET = "nothing answers for addresses of the node's own subnet, yet"
_ISTIO = "there is no part for Istio, yet"
_FLOWS = "there are no flow logs, yet"
_BPF = "there is no eBPF dataplane, yet"
_XDP = "there is no XDP, yet: untracked policy is asked by the packet filter"
_OPENSTACK = "there is no part for OpenStack, yet"
_FLOW_TABLE = "there are no flow tables, yet"

_REASONS = {
    "FeatureGates": "there are no features in the making that Calico has a name for",
    **dict.fromkeys(("GoGCThreshold", "GoMaxProcs", "GoMemoryLimitMB"), _GO),
    **dict.fromkeys(
        (
            "UsageReportingEnabled",
            "UsageReportingInitialDelaySecs",
            "UsageReportingIntervalSecs",
        ),
        _REPORTS,
    ),
    "CgroupV2Path": _BPF,
    "ChainInsertMode": "the agent's jumps come first in iptables, whatever others do",
    "DataplaneDriver": _ITSELF,
    "UseInternalDataplaneDriver": _ITSELF,
    "EndpointStatusPathPrefix": "the plugin asks the agent itself when a workload is ready",
    **dict.fromkeys(
        (
            "IPv4ElevatedRoutePriority",
            "IPv6ElevatedRoutePriority",
            "LiveMigrationRouteConvergenceTime",
        ),
        _MIGRATION,
    ),
    "Ipv6Support": "both IP versions are always guarded, so that none stands open",
    **dict.fromkeys(("IstioAmbientMode", "IstioDSCPMark"), _ISTIO),
    **dict.fromkeys(
        ("LocalSubnetL2Reachability", "LocalSubnetL2ReachabilityRefreshInterval"), _LOCAL_NET
    ),
    **dict.fromkeys(("NFTablesFlowTableDataIfacePattern", "NFTablesFlowTableOffload"), _FLOW_TABLE),
    "PolicySyncPathPrefix": "there is no application-layer policy, yet",
    "SidecarAccelerationEnabled": _BPF,
    "IptablesLockProbeIntervalMillis": "iptables itself waits for its lock",
    "IptablesPostWriteCheckIntervalSecs": "what others change is seen at once, not by reading back",
    "WindowsManageFirewallRules": "there is no agent for Windows",
    **dict.fromkeys(
        ("EndpointReportingDelaySecs", "EndpointReportingEnabled", "OpenstackRegion"), _OPENSTACK
    ),
    **dict.fromkeys(("MetadataAddr", "MetadataPort"), _OPENSTACK),
    **dict.fromkeys(("GenericXDPEnabled", "XDPEnabled", "XDPRefreshInterval"), _XDP),
}


def why_unused(name: str) -> str:
    """The reason, as a clause; empty for a parameter that something acts on."""
    if name.startswith("BPF"):
        return _BPF
    return _FLOWS if name.startswith("FlowLogs") else _REASONS.get(name, "")
