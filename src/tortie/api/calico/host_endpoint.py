"""HostEndpoint: an interface of a node, or all of them."""

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import Fields, InterfaceText, IntOrText, NameText, Port, TextSet
from tortie.api.meta import Resource
from tortie.api.rules import (
    Cel,
    Validators,
    each,
    inside,
    items,
    must,
    number_or_text,
    present,
    text,
    unique,
)


class HostEndpointPort(Fields, frozen=True, kw_only=True):
    """A port that rules may name."""

    name: str
    """The name."""
    protocol: IntOrText
    """TCP, UDP or SCTP."""
    port: Port
    """The port."""


class HostEndpointSpec(Fields, frozen=True, kw_only=True):
    """Which interface of which node, and what applies to it."""

    node: NameText = ""
    """The node. Required."""
    interface_name: InterfaceText = ""
    """The interface; "*": all of the node's. Absent: the one that has `expected_ips`."""
    expected_ips: TextSet = ()
    """The addresses of the interface."""
    profiles: TextSet = ()
    """The profiles whose rules are asked after all tiers, and whose labels it gets."""
    ports: tuple[HostEndpointPort, ...] = ()
    """Ports that rules may name."""


class HostEndpoint(Resource, frozen=True, kw_only=True):
    """An interface of a node, or all of them, for policies to apply to."""

    api_version = API_VERSION
    kind = "HostEndpoint"

    spec: HostEndpointSpec


SPEC_RULES: Validators[HostEndpointSpec] = (
    must(
        "interface_name",
        "at least one of interfaceName or expectedIPs must be specified",
        lambda s: s.interface_name or s.expected_ips,
        cel=Cel(
            "(has(self.interfaceName) && size(self.interfaceName) > 0) || "
            "(has(self.expectedIPs) && size(self.expectedIPs) > 0)"
        ),
    ),
    must(
        "node",
        "node must be specified",
        lambda s: s.node,
        cel=Cel("has(self.node) && size(self.node) > 0"),
    ),
    text("interface_name", checks.interface),
    each("expected_ips", checks.address),
    unique("expected_ips"),
    unique("profiles"),
    items(
        "ports",
        (present("name", checks.port_name), number_or_text("protocol", checks.port_protocol)),
    ),
)

RULES = (inside("spec", SPEC_RULES),)
