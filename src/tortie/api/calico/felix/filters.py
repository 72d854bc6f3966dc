"""iptables, nftables and XDP; Windows, OpenStack and AWS."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api.calico.felix.dataplane import FelixDataplane
from tortie.api.fields import (
    NO_LIST_TYPE,
    Duration,
    IntOrText,
    Switch,
    Unset,
    matching,
)

_Backend = Annotated[
    Literal["Legacy", "NFT", "Auto"] | Unset,
    Meta(extra_json_schema={"pattern": "^(?i)(Auto|Legacy|NFT)?$"}),
]
_MarkMask = Annotated[int, Meta(ge=0, le=4294967295, extra_json_schema={"format": "int64"})]


class FelixFilters(FelixDataplane, frozen=True, kw_only=True):
    """iptables, nftables and XDP; Windows, OpenStack and AWS."""

    ipsets_refresh_interval: Duration = ""
    """Time between comparisons of all IP sets with the kernel's, a duration; 0: never. Absent:
    1m30s."""
    iptables_backend: _Backend = ""
    """Which kernel interface iptables uses; Auto: what is in use already. Absent: Auto."""
    iptables_filter_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """What becomes of packets that policy allows, in the filter table: Accept at once, or Return
    to the rules after ours. Absent: Accept."""
    iptables_filter_deny_action: Annotated[str, matching(r"^(?i)(Drop|Reject)?$")] = ""
    """What becomes of packets that policy denies, in iptables. Absent: Drop."""
    iptables_lock_probe_interval: Duration = ""
    """Time between tries for iptables' lock, a duration. Absent: 50ms."""
    iptables_mangle_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """What becomes of packets that policy before NAT allows, in the mangle table: Accept at
    once, or Return to the rules after ours. Absent: Accept."""
    iptables_mark_mask: _MarkMask | None = None
    """Bits of the packet mark that the agent may use with iptables and eBPF, at least 2 of 32.
    Absent: 4294901760 (0xffff0000)."""
    iptables_nat_outgoing_interface_filter: str = ""
    """Interface (a + at the end stands for anything) that packets must leave through to get
    outgoing NAT. Absent: every one."""
    iptables_post_write_check_interval: Duration = ""
    """Time after a write to iptables at which it is read back, a duration. Absent: 5s."""
    iptables_refresh_interval: Duration = ""
    """Time between comparisons of all rules with the kernel's, a duration; 0: never. Absent: 3m."""
    kube_node_port_ranges: Annotated[tuple[IntOrText, ...], Meta(max_length=7), NO_LIST_TYPE] = ()
    """Ports of Services of type NodePort, where kube-proxy's own rules decide: numbers or
    "first:last", at most 7. Absent: 30000:32767."""
    max_ipset_size: int | None = None
    """The most members of one IP set with iptables. Absent: 1048576."""
    nftables_filter_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """What becomes of packets that policy allows, in nftables: Accept at once, or Return to the
    rules after ours. Absent: Accept."""
    nftables_filter_deny_action: Annotated[str, matching(r"^(?i)(Drop|Reject)?$")] = ""
    """What becomes of packets that policy denies, in nftables. Absent: Drop."""
    nftables_mangle_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """What becomes of packets that policy before NAT allows, in nftables: Accept at once, or
    Return to the rules after ours. Absent: Accept."""
    nftables_mark_mask: _MarkMask | None = None
    """Bits of the packet mark that the agent may use with nftables, at least 2 of 32. Absent:
    4294901760 (0xffff0000)."""
    nftables_refresh_interval: str = ""
    """Time between comparisons of all tables with the kernel's, a duration; 0: never. Absent:
    3m."""
    generic_xdp_enabled: bool | None = field(default=None, name="genericXDPEnabled")
    """Use XDP also on interfaces whose driver has no support for it, which is slow: for tests.
    Absent: false."""
    xdp_enabled: bool | None = None
    """Drop what untracked policy denies before the kernel's network stack, where the driver can,
    with iptables. Absent: true."""
    xdp_refresh_interval: Duration = ""
    """Time between comparisons of all XDP programs with the kernel's, a duration; 0: never.
    Absent: 1m30s."""
    windows_manage_firewall_rules: Switch = ""
    """On Windows, let the agent open the firewall for its metrics. Absent: Disabled."""
    endpoint_reporting_delay: Duration = ""
    """Time that states of endpoints are gathered before they are written to the datastore, a
    duration. Absent: 1s."""
    endpoint_reporting_enabled: bool | None = None
    """Write the state of each endpoint to the datastore, for OpenStack. Absent: false."""
    metadata_addr: str = ""
    """Host name or address of OpenStack's metadata service; "none": there is none. Absent:
    127.0.0.1."""
    metadata_port: int | None = None
    """TCP port of OpenStack's metadata service, 0 to 65535. Absent: 8775."""
    openstack_region: str = ""
    """OpenStack's region that the node is part of, a DNS label. Absent: none."""
    reporting_interval: Duration = ""
    """Time between reports of the node's own state to the datastore, a duration; 0: never.
    Absent: 30s."""
    reporting_ttl: Duration = field(default="", name="reportingTTL")
    """Time after which a report of the node's state is forgotten, a duration. Absent: 1m30s."""
    aws_src_dst_check: Literal["DoNothing", "Enable", "Disable"] | Unset = ""
    """What to do with AWS's check of source and destination, which drops packets of pods without
    tunnel. Absent: DoNothing."""
