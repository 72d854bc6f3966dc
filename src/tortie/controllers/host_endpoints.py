"""What host endpoints a node gets by itself. Pure.

Names, labels and addresses are those that Calico's controller gives: `NODE-auto-hep` for all
interfaces, `NODE-TEMPLATE-auto-hep` for a template that chooses addresses, and
`NODE-TEMPLATE-INTERFACE-auto-hep` for each interface that a template's pattern finds.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256

from tortie.api import Node, ObjectMeta, checks
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointSpec
from tortie.api.calico.kube_controllers import HostEndpointTemplate
from tortie.api.calico.node import NodeBgp, NodeWireguard
from tortie.controllers.settings import Settings
from tortie.net import Prefix, parse_network, parse_prefix
from tortie.selectors import parse

CREATED_BY, CONTROLLERS = "projectcalico.org/created-by", "calico-kube-controllers"
PROFILE = "projectcalico-default-allow"
_SUFFIX = "auto-hep"
_EVERY_INTERFACE = "*"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LONGEST = 253


def is_automatic(endpoint: HostEndpoint) -> bool:
    """Whether it is the controllers' own, and not a person's."""
    return endpoint.metadata.labels.get(CREATED_BY) == CONTROLLERS


def wanted_endpoints(node: Node, settings: Settings) -> tuple[dict[str, HostEndpoint], list[str]]:
    """The node's endpoints by name, and a line for each template that can't be used."""
    problems: list[str] = []
    if not settings.host_endpoints:
        return {}, problems
    found: list[HostEndpoint] = []
    if settings.default_host_endpoint:
        found.append(_endpoint(node, (), None, node_addresses(node), _EVERY_INTERFACE))
    for template in settings.templates:
        try:
            found += _of_template(node, template)
        except ValueError as problem:
            problems.append(f"host endpoint template {template.generate_name!r}: {problem}")
    return {one.metadata.name: one for one in found}, problems


def _of_template(node: Node, template: HostEndpointTemplate) -> Iterator[HostEndpoint]:
    """Raises ValueError for a selector, CIDR, pattern or name that can't be used."""
    if not template.generate_name:
        raise ValueError("it has no generateName")
    cidrs = [parse_network(text) for text in template.interface_cidrs]
    checks.regular_expression(template.interface_pattern)
    pattern = re.compile(template.interface_pattern)
    if not parse(template.node_selector or "all()").matches(node.metadata.labels):
        return
    inside = [one for one in node_addresses(node) if any(net.contains(one) for net in cidrs)]
    if not template.interface_pattern:
        if inside:  # an endpoint without interface and address would be none
            yield _endpoint(node, (template.generate_name,), template, inside, "")
        return
    for interface in node.spec.interfaces:
        if pattern.search(interface.name):
            addresses = _distinct([*inside, *_readable(interface.addresses)])
            parts = (template.generate_name, interface.name)
            yield _endpoint(node, parts, template, addresses, interface.name)


def _endpoint(
    node: Node,
    parts: tuple[str, ...],
    template: HostEndpointTemplate | None,
    addresses: Iterable[Prefix],
    interface: str,
) -> HostEndpoint:
    labels = {
        **node.metadata.labels,
        **(template.labels if template else {}),
        CREATED_BY: CONTROLLERS,
    }
    return HostEndpoint(
        metadata=ObjectMeta(
            name=_named(node.metadata.name, *parts),
            labels=labels,
            annotations=dict(template.annotations) if template else {},
        ),
        spec=HostEndpointSpec(
            node=node.metadata.name,
            interface_name=interface,
            expected_ips=tuple(str(one).partition("/")[0] for one in addresses),
            profiles=(PROFILE,),
        ),
    )


def _named(*parts: str) -> str:
    """A name that can be stored: an interface's may be none, and all together be too long."""
    name = "-".join((*parts, _SUFFIX))
    if len(name) <= _LONGEST and _NAME.fullmatch(name):
        return name
    digest = urlsafe_b64encode(sha256(name.encode()).digest()).decode()
    return f"{re.sub('[-_.=]', '', digest).lower()}-{_SUFFIX}"


def node_addresses(node: Node) -> list[Prefix]:
    """All addresses of a node, its ends of tunnels too; each once, in the order that Calico has."""
    bgp, wireguard = node.spec.bgp or NodeBgp(), node.spec.wireguard or NodeWireguard()
    return _distinct(
        _readable(
            (
                bgp.ipv4_address,
                bgp.ipv6_address,
                bgp.ipv4_ipip_tunnel_addr,
                node.spec.ipv4_vxlan_tunnel_addr,
                node.spec.ipv6_vxlan_tunnel_addr,
                wireguard.interface_ipv4_address,
                wireguard.interface_ipv6_address,
                *(one.address for one in node.spec.addresses if one.type == "InternalIP"),
                *(text for one in node.spec.interfaces for text in one.addresses),
            )
        )
    )


def _readable(texts: Iterable[str]) -> Iterator[Prefix]:
    """Addresses without their subnets; what is none is left out, as it is in the dataplane."""
    for text in texts:
        try:
            version, address, _ = parse_prefix(text)
        except ValueError:
            continue
        yield Prefix.single(version, address)


def _distinct(addresses: Iterable[Prefix]) -> list[Prefix]:
    return list(dict.fromkeys(addresses))
