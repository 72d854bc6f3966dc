"""Node: a machine, its addresses and its ends of tunnels."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import Fields
from tortie.api.meta import Resource
from tortie.api.rules import each, inside, items, number_or_text, text

AsNumber = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class NodeBgp(Fields, frozen=True, kw_only=True):
    """How the node speaks BGP, and its main addresses."""

    as_number: AsNumber | str | None = None
    """Its AS number, as int or "hi.lo". Absent: the cluster's."""
    ipv4_address: str = ""
    """Its main IPv4 address with its subnet's length: "172.16.0.5/24"."""
    ipv6_address: str = ""
    """Its main IPv6 address likewise."""
    ipv4_ipip_tunnel_addr: str = field(default="", name="ipv4IPIPTunnelAddr")
    """Its address on tunl0."""
    route_reflector_cluster_id: str = ""
    """Set: the node is a route reflector of this cluster id."""


class OrchRef(Fields, frozen=True, kw_only=True):
    """The node's name at an orchestrator."""

    node_name: str = ""
    """The name there."""
    orchestrator: str = ""
    """Which one, such as "k8s"."""


class NodeWireguard(Fields, frozen=True, kw_only=True):
    """The node's addresses on its WireGuard interfaces."""

    interface_ipv4_address: str = ""
    """Its IPv4 address there."""
    interface_ipv6_address: str = ""
    """Its IPv6 address there."""


class NodeAddress(Fields, frozen=True, kw_only=True):
    """An address of the node."""

    address: str
    """The address, with or without its subnet's length."""
    type: Literal["CalicoNodeIP", "InternalIP", "ExternalIP"] | None = None
    """What it is for."""


class NodeInterface(Fields, frozen=True, kw_only=True):
    """An interface of the node."""

    name: str
    """The name."""
    addresses: tuple[str, ...] = ()
    """Its addresses, with or without their subnet's length."""


class NodeSpec(Fields, frozen=True, kw_only=True):
    """The node's addresses and its ends of tunnels."""

    bgp: NodeBgp | None = None
    """BGP and the main addresses."""
    ipv4_vxlan_tunnel_addr: str = field(default="", name="ipv4VXLANTunnelAddr")
    """Its address on vxlan.calico."""
    vxlan_tunnel_mac_addr: str = field(default="", name="vxlanTunnelMACAddr")
    """The MAC address of vxlan.calico."""
    ipv6_vxlan_tunnel_addr: str = field(default="", name="ipv6VXLANTunnelAddr")
    """Its address on vxlan-v6.calico."""
    vxlan_tunnel_mac_addr_v6: str = field(default="", name="vxlanTunnelMACAddrV6")
    """The MAC address of vxlan-v6.calico."""
    orch_refs: tuple[OrchRef, ...] = ()
    """Its names at orchestrators."""
    wireguard: NodeWireguard | None = None
    """Its addresses on WireGuard interfaces."""
    addresses: tuple[NodeAddress, ...] = ()
    """All its addresses."""
    interfaces: tuple[NodeInterface, ...] = ()
    """Its interfaces."""


class NodeStatus(Fields, frozen=True, kw_only=True):
    """What the node's agent tells of it."""

    wireguard_public_key: str = ""
    """The public key of its WireGuard interface for IPv4, in base64."""
    wireguard_public_key_v6: str = field(default="", name="wireguardPublicKeyV6")
    """The public key of its WireGuard interface for IPv6, in base64."""
    pod_cidrs: tuple[str, ...] = ()
    """CIDRs that its pods have addresses of, where Kubernetes gives them out."""


class Node(Resource, frozen=True, kw_only=True):
    """A machine of the cluster, its addresses and its ends of tunnels."""

    api_version = API_VERSION
    kind = "Node"

    spec: NodeSpec
    status: NodeStatus | None = None


SPEC_RULES = (
    inside(
        "bgp",
        (
            number_or_text("as_number", checks.as_number),
            text("ipv4_address", checks.cidr4),
            text("ipv6_address", checks.cidr6),
            text("ipv4_ipip_tunnel_addr", checks.address4),
            text("route_reflector_cluster_id", checks.address4),
        ),
    ),
    text("ipv4_vxlan_tunnel_addr", checks.address4),
    text("vxlan_tunnel_mac_addr", checks.mac),
    text("ipv6_vxlan_tunnel_addr", checks.address6),
    text("vxlan_tunnel_mac_addr_v6", checks.mac),
    inside(
        "wireguard",
        (
            text("interface_ipv4_address", checks.address4),
            text("interface_ipv6_address", checks.address6),
        ),
    ),
    items("addresses", (text("address", checks.network),)),
    items("interfaces", (text("name", checks.interface), each("addresses", checks.network))),
)

RULES = (
    inside("spec", SPEC_RULES),
    inside(
        "status",
        (
            text("wireguard_public_key", checks.wireguard_key),
            text("wireguard_public_key_v6", checks.wireguard_key),
            each("pod_cidrs", checks.cidr),
        ),
    ),
)
