"""Calico's Node as annotations of Kubernetes' Node. Pure."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from tortie.api import KINDS, Node, NodeBgp, NodeSpec, NodeStatus, Resource, checks
from tortie.api.calico.node import NodeAddress, NodeInterface, NodeWireguard, OrchRef
from tortie.api.kube.node import KubernetesNode
from tortie.datastore.contract import DatastoreError
from tortie.datastore.kubernetes.forms import Write, annotate, refuse
from tortie.net import format_address, parse_network

_PREFIX = "projectcalico.org/"
_LABELS, _ANNOTATIONS = f"{_PREFIX}labels", f"{_PREFIX}annotations"
_KUBE_LABELS = f"{_PREFIX}kube-labels"
_INTERFACES = f"{_PREFIX}Interfaces"
_AS_NUMBER = f"{_PREFIX}ASNumber"

_BGP = {
    "ipv4_address": ("IPv4Address", checks.cidr4),
    "ipv6_address": ("IPv6Address", checks.cidr6),
    "ipv4_ipip_tunnel_addr": ("IPv4IPIPTunnelAddr", checks.address4),
    "route_reflector_cluster_id": ("RouteReflectorClusterID", checks.address4),
}
_SPEC = {
    "ipv4_vxlan_tunnel_addr": ("IPv4VXLANTunnelAddr", checks.address4),
    "vxlan_tunnel_mac_addr": ("VXLANTunnelMACAddr", checks.mac),
    "ipv6_vxlan_tunnel_addr": ("IPv6VXLANTunnelAddr", checks.address6),
    "vxlan_tunnel_mac_addr_v6": ("VXLANTunnelMACAddrV6", checks.mac),
}
_WIREGUARD = {
    "interface_ipv4_address": ("IPv4WireguardInterfaceAddr", checks.address4),
    "interface_ipv6_address": ("IPv6WireguardInterfaceAddr", checks.address6),
}
_STATUS = {
    "wireguard_public_key": ("WireguardPublicKey", checks.wireguard_key),
    "wireguard_public_key_v6": ("WireguardPublicKeyV6", checks.wireguard_key),
}
_ADDRESS_TYPES: dict[str, Literal["InternalIP", "ExternalIP"]] = {
    "InternalIP": "InternalIP",
    "ExternalIP": "ExternalIP",
}
_Fields = Mapping[str, tuple[str, Callable[[str], object]]]


class NodeForm:
    """A machine: what kubelet says of it, and Calico's annotations."""

    strict = True

    def __init__(self, pod_cidr: bool) -> None:
        self._pod_cidr = pod_cidr

    @property
    def wire(self) -> type[Resource]:
        """See `Form.wire`."""
        return KINDS["KubernetesNode"].type

    def read(self, item: KubernetesNode) -> Node:
        """See `Form.read`."""
        return node_of(item, self._pod_cidr)

    def new(self, resource: Resource) -> bytes:
        """A Node is made by its kubelet."""
        raise refuse(f"Node {resource.metadata.name}", "the Node that its kubelet registers")

    def changed(self, stored: bytes, resource: Resource, revision: str) -> Write | None:
        """See `Form.changed`. Only Calico's annotations change."""
        assert isinstance(resource, Node)
        machine = msgspec.json.decode(stored, type=KubernetesNode)
        before = machine.metadata.annotations
        wanted = annotations_of(resource, machine.metadata.labels)
        if self._pod_cidr and machine.spec.pod_cidr:
            wanted.pop(f"{_PREFIX}IPv4IPIPTunnelAddr", None)  # it follows from podCIDR
            wanted.pop(f"{_PREFIX}IPv4WireguardInterfaceAddr", None)
        changes = {name: value for name, value in wanted.items() if before.get(name) != value}
        return annotate(machine.metadata, changes, revision)


def is_annotated(stored: bytes) -> bool:
    """Whether a machine has annotations of Calico already."""
    known = annotations_of(Node(spec=NodeSpec()))
    machine = msgspec.json.decode(stored, type=KubernetesNode)
    return any(name in known for name in machine.metadata.annotations)


def node_of(machine: KubernetesNode, pod_cidr: bool = False) -> Node:
    """The Node that a machine is; annotations that say nothing sensible count as absent."""
    found = machine.metadata.annotations
    bgp = NodeBgp(**_values(_BGP, found), as_number=_as_number(found))
    wireguard = NodeWireguard(**_values(_WIREGUARD, found))
    if pod_cidr and machine.spec.pod_cidr:
        address = _first_address(machine.spec.pod_cidr)
        bgp = replace(bgp, ipv4_ipip_tunnel_addr=address)
        if found.get(f"{_PREFIX}WireguardPublicKey"):
            wireguard = replace(wireguard, interface_ipv4_address=address)
    spec = NodeSpec(
        bgp=bgp if bgp != NodeBgp() else None,
        orch_refs=(OrchRef(node_name=machine.metadata.name, orchestrator="k8s"),),
        wireguard=wireguard if wireguard != NodeWireguard() else None,
        addresses=_addresses(machine, bgp),
        interfaces=_interfaces(found.get(_INTERFACES, "")),
        **_values(_SPEC, found),
    )
    status = NodeStatus(pod_cidrs=machine.spec.pod_cidrs, **_values(_STATUS, found))
    return Node(
        metadata=replace(
            machine.metadata,
            labels={**_texts(found.get(_LABELS, "")), **machine.metadata.labels},
            annotations=_kept_annotations(machine),
            managed_fields=None,
            owner_references=None,
            finalizers=None,
            generation=None,
        ),
        spec=spec,
        status=status if status != NodeStatus() else None,
    )


def annotations_of(node: Node, inherited: Collection[str] = ()) -> dict[str, str | None]:
    """All of Calico's annotations that say what `node` says; None: there is to be none.

    `inherited` are the names of labels that the machine itself has.
    """
    bgp = node.spec.bgp or NodeBgp()
    wireguard, status = node.spec.wireguard or NodeWireguard(), node.status or NodeStatus()
    parts = ((bgp, _BGP), (node.spec, _SPEC), (wireguard, _WIREGUARD), (status, _STATUS))
    found: dict[str, str | None] = {
        _PREFIX + name: getattr(part, field) or None
        for part, fields in parts
        for field, (name, _) in fields.items()
    }
    hidden = {*inherited, *_texts(node.metadata.annotations.get(_KUBE_LABELS, ""))}
    labels = {k: v for k, v in node.metadata.labels.items() if k not in hidden}
    own = {k: v for k, v in node.metadata.annotations.items() if k != _KUBE_LABELS}
    return {
        **found,
        _AS_NUMBER: None if bgp.as_number is None else str(bgp.as_number),
        _INTERFACES: _json(node.spec.interfaces),
        _LABELS: _json(labels),
        _ANNOTATIONS: _json(own),
    }


def _json(value: Any) -> str | None:
    return msgspec.json.encode(value, order="sorted").decode() if value else None


def _values(fields: _Fields, annotations: Mapping[str, str]) -> dict[str, Any]:
    return {
        field: _sensible(annotations.get(_PREFIX + name, ""), check)
        for field, (name, check) in fields.items()
    }


def _sensible(text: str, check: Callable[[str], object]) -> str:
    try:
        if text:
            check(text)
    except ValueError:
        return ""
    return text


def _as_number(annotations: Mapping[str, str]) -> int | str | None:
    text = annotations.get(_AS_NUMBER, "")
    try:
        if text:
            checks.as_number(text)
    except ValueError:
        return None
    if not text:
        return None
    return int(text) if text.isdigit() else text


def _first_address(cidr: str) -> str:
    """The first address of the node's pods, which host-local keeps free."""
    try:
        prefix = parse_network(cidr)
    except ValueError as error:
        raise ValueError(f"podCIDR: {error}") from None
    return format_address(prefix.version, prefix.address + 1)


def _addresses(machine: KubernetesNode, bgp: NodeBgp) -> tuple[NodeAddress, ...]:
    own = (bgp.ipv4_address, bgp.ipv6_address)
    told = machine.status.addresses if machine.status else ()
    return (
        *(NodeAddress(address=text, type="CalicoNodeIP") for text in own if text),
        *(
            NodeAddress(address=found.address, type=_ADDRESS_TYPES[found.type])
            for found in told
            if found.type in _ADDRESS_TYPES
        ),
    )


def _interfaces(text: str) -> tuple[NodeInterface, ...]:
    try:
        return msgspec.json.decode(text, type=tuple[NodeInterface, ...]) if text else ()
    except msgspec.DecodeError:
        return ()


def _texts(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str] | None) or {} if text else {}
    except msgspec.DecodeError:
        return {}


def _kept_annotations(machine: KubernetesNode) -> dict[str, str]:
    """The Node's own, and which of its labels are the machine's: those are not ours to write."""
    own = _texts(machine.metadata.annotations.get(_ANNOTATIONS, ""))
    labels = machine.metadata.labels
    if not labels:
        return own
    return {**own, _KUBE_LABELS: msgspec.json.encode(labels, order="sorted").decode()}


def not_registered(name: str) -> DatastoreError:
    """The error for creating the Node of a machine that Kubernetes does not know."""
    return refuse(f"Node {name}", "the Node that its kubelet registers, and there is none yet")
