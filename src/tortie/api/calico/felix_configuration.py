"""FelixConfiguration: the settings of the node agents."""

import re

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.felix.dataplane import ProtoPort, RouteTableIDRange, RouteTableRange
from tortie.api.calico.felix.overlay import FelixOverlay
from tortie.api.fields import IntOrText, SelectorText
from tortie.api.meta import Resource
from tortie.api.rules import (
    FORBIDDEN,
    Cel,
    Validator,
    Validators,
    each,
    given,
    inside,
    items,
    must,
    number_or_text,
    pairs,
    present,
    text,
)
from tortie.net import parse_port_range


class FelixConfigurationSpec(FelixOverlay, frozen=True, kw_only=True):
    """The settings, and whose they are."""

    node_selector: SelectorText = ""
    """Labels of the nodes it is for. Absent: "default" is for all nodes, "node.NAME" for one."""


class FelixConfiguration(Resource, frozen=True, kw_only=True):
    """The settings of the node agents: of all, of those selected, or of one."""

    api_version = API_VERSION
    kind = "FelixConfiguration"

    spec: FelixConfigurationSpec


MOST_TABLES = 0xFFFF

_HOST = re.compile(r"[a-zA-Z0-9:._+-]{1,64}")
_PREFIXES = re.compile(r"[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*")
_PORTS = ("health_port", "prometheus_metrics_port", "metadata_port", "debug_port", "vxlan_port")
_PRIORITIES = tuple(
    f"ipv{n}_{how}_route_priority" for n in (4, 6) for how in ("normal", "elevated")
)
_MAGLEV = ("bpf_maglev_max_services", "bpf_maglev_max_endpoints_per_service")
_GO = ("go_gc_threshold", "go_max_procs", "go_memory_limit_mb")
_EXPRESSIONS = (
    *("log_debug_filename_regex", "mtu_iface_pattern", "nftables_flow_table_data_iface_pattern"),
    *("bpf_data_iface_pattern", "bpf_l3_iface_pattern", "bpf_disable_gro_for_ifaces"),
)
_DURATIONS = (
    "dataplane_watchdog_timeout",
    "local_subnet_l2_reachability_refresh_interval",
    "nftables_refresh_interval",
)


def _is_for_fixed_nodes(name: str) -> bool:
    return name == "default" or name.startswith("node.")


def _tables(spec: FelixConfigurationSpec) -> int:
    return sum(max(0, each.max - each.min + 1) for each in spec.route_table_ranges)


def _numeric_ports(value: IntOrText) -> None:
    """Ports from 0 on: agents take 0 for "any"."""
    if checks.is_port_name(value):
        raise ValueError(f"{value!r} is no port or range of ports")
    parse_port_range(str(value))


def _between(field: str, least: int, most: int) -> Validator[FelixConfigurationSpec]:
    """Agents have a bound that the API's schema does not tell of."""

    def holds(spec: FelixConfigurationSpec) -> bool:
        value = getattr(spec, field)
        return value is None or least <= value <= most

    return must(field, f"must be from {least} to {most}", holds)


def _some_bits(field: str) -> Validator[FelixConfigurationSpec]:
    return must(
        field,
        "needs at least 2 bits that are set",
        lambda s: getattr(s, field) is None or getattr(s, field).bit_count() >= 2,
        "such as 0xffff0000",
    )


def _host(text_: str) -> None:
    if not _HOST.fullmatch(text_):
        raise ValueError(
            f"{text_!r} is no address or name of a host: 1 to 64 of A-Z a-z 0-9 : . _ + -"
        )


def _interface_prefixes(text_: str) -> None:
    if not _PREFIXES.fullmatch(text_):
        raise ValueError(f"{text_!r}: prefixes of 1 to 15 of A-Z a-z 0-9 _ -, with commas between")


RANGE_RULES: Validators[RouteTableRange] = (
    must(
        "",
        "must be a range of route table indices within 1..250",
        lambda r: 1 <= r.min <= r.max <= 250,
        cel=Cel("self.min >= 1 && self.max >= self.min && self.max <= 250"),
    ),
)

RANGES_RULES: Validators[RouteTableIDRange] = (
    must(
        "min",
        "min must be >= 1",
        lambda r: r.min >= 1,
        cel=Cel("self.min >= 1"),
    ),
    must(
        "min",
        "min must not be greater than max",
        lambda r: r.min <= r.max,
        cel=Cel("self.min <= self.max"),
    ),
    must("max", "max must be at most 0xFFFFFFFF", lambda r: r.max <= 0xFFFFFFFF),
)

PORT_RULES: Validators[ProtoPort] = (
    text("protocol", checks.protocol),
    text("net", checks.network),
    must("port", "must be from 0 to 65535", lambda p: 0 <= p.port <= 65535),
)

SPEC_RULES: Validators[FelixConfigurationSpec] = (
    text("node_selector", checks.local_selector),
    given(
        "route_table_range",
        must(
            "route_table_range",
            "routeTableRange and routeTableRanges cannot both be set",
            lambda s: not s.route_table_ranges,
            cel=Cel(
                "!has(self.routeTableRange) || !has(self.routeTableRanges)",
                FORBIDDEN,
            ),
        ),
        inside("route_table_range", RANGE_RULES),
    ),
    items("route_table_ranges", RANGES_RULES),
    must("route_table_ranges", "more than 65535 tables", lambda s: _tables(s) <= MOST_TABLES),
    must(
        "nat_outgoing_address",
        "natOutgoingAddress must be a valid IPv4 address",
        lambda s: checks.is_address(s.nat_outgoing_address, 4),
        cel=Cel(
            "!has(self.natOutgoingAddress) || size(self.natOutgoingAddress) == 0 || "
            "(isIP(self.natOutgoingAddress) && ip(self.natOutgoingAddress).family() == 4)"
        ),
    ),
    must(
        "device_route_source_address",
        "deviceRouteSourceAddress must be a valid IPv4 address",
        lambda s: checks.is_address(s.device_route_source_address, 4),
        cel=Cel(
            "!has(self.deviceRouteSourceAddress) || size(self.deviceRouteSourceAddress) == 0 || "
            "(isIP(self.deviceRouteSourceAddress) && "
            "ip(self.deviceRouteSourceAddress).family() == 4)"
        ),
    ),
    must(
        "device_route_source_address_ipv6",
        "deviceRouteSourceAddressIPv6 must be a valid IPv6 address",
        lambda s: checks.is_address(s.device_route_source_address_ipv6, 6),
        cel=Cel(
            "!has(self.deviceRouteSourceAddressIPv6) || "
            "size(self.deviceRouteSourceAddressIPv6) == 0 || "
            "(isIP(self.deviceRouteSourceAddressIPv6) && "
            "ip(self.deviceRouteSourceAddressIPv6).family() == 6)"
        ),
    ),
    *(_between(field, 0, 65535) for field in _PORTS),
    *(_between(field, 1, 2**31 - 2) for field in _PRIORITIES),
    *(_between(field, 1, 3000) for field in _MAGLEV),
    *(_between(field, -1, 2**63 - 1) for field in _GO),
    *(_some_bits(field) for field in ("iptables_mark_mask", "nftables_mark_mask")),
    *(text(field, checks.regular_expression) for field in _EXPRESSIONS),
    *(text(field, checks.duration) for field in _DURATIONS),
    text("health_host", _host),
    text("prometheus_metrics_host", _host),
    text("interface_prefix", _interface_prefixes),
    text("wireguard_interface_name", checks.interface_filter),
    text("wireguard_interface_name_v6", checks.interface_filter),
    each("bpf_force_track_packets_from_ifaces", checks.interface_filter),
    each("kube_node_port_ranges", _numeric_ports),
    number_or_text("bpf_psnat_ports", _numeric_ports),
    number_or_text("nat_port_range", _numeric_ports),
    number_or_text("istio_dscp_mark", checks.dscp),
    text("openstack_region", checks.dns_label),
    each("external_nodes_list", checks.cidr4),
    each("bpf_dsr_optout_cidrs", checks.cidr),
    each("bpf_exclude_cidrs_from_nat", checks.cidr),
    text("iptables_nat_outgoing_interface_filter", checks.interface_filter),
    pairs("bpf_log_filters", checks.interface_filter, str),
    items("failsafe_inbound_host_ports", PORT_RULES),
    items("failsafe_outbound_host_ports", PORT_RULES),
    items(
        "health_timeout_overrides",
        (present("name", checks.health_name), present("timeout", checks.duration)),
    ),
)

RULES: Validators[FelixConfiguration] = (
    must(
        "spec",
        "nodeSelector must not be set on the 'default' or per-node ('node.*') FelixConfiguration",
        lambda f: not (_is_for_fixed_nodes(f.metadata.name) and f.spec.node_selector),
        cel=Cel(
            "self.metadata.name == 'default' || self.metadata.name.startsWith('node.') ? "
            "!has(self.spec.nodeSelector) : true",
            FORBIDDEN,
        ),
    ),
    inside("spec", SPEC_RULES),
)
