"""The ends of tunnels that a node may have: which pools ask for one, where the Node tells it. Pure.

Names of handles and attributes are Calico's, so that its tools know these addresses, too.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

from msgspec.structs import replace

from tortie.api import IPPool, Node, NodeBgp, Resource
from tortie.api.calico.node import NodeWireguard
from tortie.engine.nodes import vtep_mac
from tortie.ipam.pools import selects
from tortie.net import parse_network
from tortie.selectors import SelectorError


class End(NamedTuple):
    """One kind of tunnel end, for packets of one IP version."""

    name: str  # "vxlan", "wireguard-v6"…: its device's driver
    version: int
    handle: str  # of the address in IPAM, before the node's name
    attribute: str  # what IPAM notes of it
    wants: Callable[[IPPool, Node], bool]  # whether a pool of this version asks this node for one
    publish: Callable[[Node, str], Node]  # the Node with this address; "" for none

    def pools(self, pools: Iterable[Resource], node: Node) -> list[IPPool]:
        """The pools that ask for it, those first that are for nodes such as this one."""
        found = [
            pool
            for pool in cast(Iterable[IPPool], pools)
            if _version(pool) == self.version and self.wants(pool, node)
        ]
        return sorted(found, key=lambda pool: not _is_for(pool, node))


def _is_for(pool: IPPool, node: Node) -> bool:
    try:
        return selects(pool, node.metadata.labels)
    except SelectorError:  # whoever assigns addresses tells of it
        return False


def _version(pool: IPPool) -> int:
    try:
        return parse_network(pool.spec.cidr).version
    except ValueError:  # whoever reads pools for policy tells of it
        return 0


def _vxlan(pool: IPPool, _: Node) -> bool:
    return pool.spec.vxlan_mode in ("Always", "CrossSubnet")


def _ipip(pool: IPPool, _: Node) -> bool:
    return pool.spec.ipip_mode in ("Always", "CrossSubnet")


def _wireguard(_: IPPool, node: Node) -> bool:
    return node.status is not None and bool(node.status.wireguard_public_key)


def _wireguard_v6(_: IPPool, node: Node) -> bool:
    return node.status is not None and bool(node.status.wireguard_public_key_v6)


def _mac(given: str, own: str, address: str) -> str:
    """One that somebody gave stays, whether there is an address or not; ours is there with one."""
    if given and given != own:
        return given
    return own if address else ""


def _publish_vxlan(node: Node, address: str) -> Node:
    mac = _mac(node.spec.vxlan_tunnel_mac_addr, vtep_mac(node.metadata.name), address)
    spec = replace(node.spec, ipv4_vxlan_tunnel_addr=address, vxlan_tunnel_mac_addr=mac)
    return replace(node, spec=spec)


def _publish_vxlan_v6(node: Node, address: str) -> Node:
    own = vtep_mac(f"{node.metadata.name}-v6")
    mac = _mac(node.spec.vxlan_tunnel_mac_addr_v6, own, address)
    spec = replace(node.spec, ipv6_vxlan_tunnel_addr=address, vxlan_tunnel_mac_addr_v6=mac)
    return replace(node, spec=spec)


def _publish_ipip(node: Node, address: str) -> Node:
    bgp = node.spec.bgp
    if bgp is None and not address:
        return node
    bgp = replace(bgp or NodeBgp(), ipv4_ipip_tunnel_addr=address)
    return replace(node, spec=replace(node.spec, bgp=bgp))


def _with_wireguard(node: Node, ends: NodeWireguard) -> Node:
    empty = ends == NodeWireguard()
    return replace(node, spec=replace(node.spec, wireguard=None if empty else ends))


def _publish_wireguard(node: Node, address: str) -> Node:
    ends = node.spec.wireguard or NodeWireguard()
    return _with_wireguard(node, replace(ends, interface_ipv4_address=address))


def _publish_wireguard_v6(node: Node, address: str) -> Node:
    ends = node.spec.wireguard or NodeWireguard()
    return _with_wireguard(node, replace(ends, interface_ipv6_address=address))


ENDS = (
    End("vxlan", 4, "vxlan-tunnel-addr", "vxlanTunnelAddress", _vxlan, _publish_vxlan),
    End("vxlan-v6", 6, "vxlan-v6-tunnel-addr", "vxlanV6TunnelAddress", _vxlan, _publish_vxlan_v6),
    End("ipip", 4, "ipip-tunnel-addr", "ipipTunnelAddress", _ipip, _publish_ipip),
    End(
        "wireguard",
        4,
        "wireguard-tunnel-addr",
        "wireguardTunnelAddress",
        _wireguard,
        _publish_wireguard,
    ),
    End(
        "wireguard-v6",
        6,
        "wireguard-v6-tunnel-addr",
        "wireguardV6TunnelAddress",
        _wireguard_v6,
        _publish_wireguard_v6,
    ),
)
