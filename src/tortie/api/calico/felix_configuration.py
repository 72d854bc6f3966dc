"""FelixConfiguration: the settings of the node agents."""

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.felix.dataplane import ProtoPort, RouteTableIDRange, RouteTableRange
from tortie.api.calico.felix.overlay import FelixOverlay
from tortie.api.fields import IntOrText, SelectorText
from tortie.api.meta import Resource
from tortie.api.rules import (
    FORBIDDEN,
    Cel,
    Validators,
    each,
    given,
    inside,
    items,
    must,
    number_or_text,
    pairs,
    text,
)


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


def _is_for_fixed_nodes(name: str) -> bool:
    return name == "default" or name.startswith("node.")


def _tables(spec: FelixConfigurationSpec) -> int:
    return sum(max(0, each.max - each.min + 1) for each in spec.route_table_ranges)


def _numeric_ports(value: IntOrText) -> None:
    checks.port(value)
    if checks.is_port_name(value):
        raise ValueError(f"{value!r} is no port or range of ports")


def _interface_pattern(name: str) -> None:
    if name != "all":
        checks.interface_filter(name)


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
    each("kube_node_port_ranges", _numeric_ports),
    number_or_text("bpf_psnat_ports", _numeric_ports),
    number_or_text("nat_port_range", _numeric_ports),
    number_or_text("istio_dscp_mark", checks.dscp),
    text("openstack_region", checks.dns_label),
    each("external_nodes_list", checks.cidr4),
    each("bpf_dsr_optout_cidrs", checks.cidr),
    each("bpf_exclude_cidrs_from_nat", checks.cidr),
    text("iptables_nat_outgoing_interface_filter", checks.interface_filter),
    pairs("bpf_log_filters", _interface_pattern, str),
    items("failsafe_inbound_host_ports", PORT_RULES),
    items("failsafe_outbound_host_ports", PORT_RULES),
    items("health_timeout_overrides", (text("name", checks.health_name),)),
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
