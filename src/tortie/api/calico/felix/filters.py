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
    """A duration, as in 1m30s. Absent: 1m30s."""
    iptables_backend: _Backend = ""
    """Absent: auto."""
    iptables_filter_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """Absent: Accept."""
    iptables_filter_deny_action: Annotated[str, matching(r"^(?i)(Drop|Reject)?$")] = ""
    """Absent: Drop."""
    iptables_lock_probe_interval: Duration = ""
    """Milliseconds (floating point). Absent: 50ms."""
    iptables_mangle_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """Absent: Accept."""
    iptables_mark_mask: _MarkMask | None = None
    """A mask of 32 bits, at least 2 of them set. Absent: 0xffff0000."""
    iptables_nat_outgoing_interface_filter: str = ""
    iptables_post_write_check_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 5s."""
    iptables_refresh_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 3m0s."""
    kube_node_port_ranges: Annotated[tuple[IntOrText, ...], Meta(max_length=7), NO_LIST_TYPE] = ()
    """List of port ranges. Absent: 30000:32767."""
    max_ipset_size: int | None = None
    """Absent: 1048576."""
    nftables_filter_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """Absent: Accept."""
    nftables_filter_deny_action: Annotated[str, matching(r"^(?i)(Drop|Reject)?$")] = ""
    """Absent: Drop."""
    nftables_mangle_allow_action: Annotated[str, matching(r"^(?i)(Accept|Return)?$")] = ""
    """Absent: Accept."""
    nftables_mark_mask: _MarkMask | None = None
    """A mask of 32 bits, at least 2 of them set. Absent: 0xffff0000."""
    nftables_refresh_interval: str = ""
    """A duration, as in 1m30s. Absent: 3m0s."""
    generic_xdp_enabled: bool | None = field(default=None, name="genericXDPEnabled")
    """Absent: false."""
    xdp_enabled: bool | None = None
    """Absent: true."""
    xdp_refresh_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 1m30s."""
    windows_manage_firewall_rules: Switch = ""
    """Absent: Disabled."""
    endpoint_reporting_delay: Duration = ""
    """A duration, as in 1m30s. Absent: 1s."""
    endpoint_reporting_enabled: bool | None = None
    """Absent: false."""
    metadata_addr: str = ""
    """Absent: 127.0.0.1."""
    metadata_port: int | None = None
    """0 to 65535. Absent: 8775."""
    openstack_region: str = ""
    """OpenStack region name (must be a valid DNS label)."""
    reporting_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 30s."""
    reporting_ttl: Duration = field(default="", name="reportingTTL")
    """A duration, as in 1m30s. Absent: 1m30s."""
    aws_src_dst_check: Literal["DoNothing", "Enable", "Disable"] | Unset = ""
    """Absent: DoNothing."""
