"""What routing needs to know of nodes, pools and blocks, read from their resources."""

from collections.abc import Callable
from hashlib import sha1
from typing import NamedTuple

from tortie.api import IPAMBlock, IPPool, Key, Node, checks
from tortie.engine.delta import Host, Pool, Vtep, WireguardEnd
from tortie.net import Prefix, parse_network, parse_prefix

Warn = Callable[[str], None]


class NodeEnds(NamedTuple):
    """A node's addresses, and its VXLAN tunnel end of each IP version."""

    host: Host
    vtep: Vtep | None
    vtep_v6: Vtep | None

    def main(self, version: int) -> Prefix | None:
        """The main address of an IP version, with its subnet's length."""
        return self.host.ipv4 if version == 4 else self.host.ipv6

    def tunnel_end(self, version: int) -> Vtep | None:
        """The VXLAN tunnel end for packets of an IP version."""
        return self.vtep if version == 4 else self.vtep_v6


class Block(NamedTuple):
    """A block: the node it belongs to ("" for none), and who uses addresses of it.

    `guests` are (address, node) of the addresses in use by other nodes than the owner.
    """

    cidr: Prefix
    owner: str
    guests: tuple[tuple[Prefix, str], ...]


def node_ends(name: str, value: Node, warn: Warn) -> NodeEnds:
    """Read a Node; what can't be read counts as absent, with a warning."""
    key, spec, bgp = value.key, value.spec, value.spec.bgp
    texts = {4: bgp.ipv4_address, 6: bgp.ipv6_address} if bgp else {}
    ipv4 = _address(key, "spec.bgp.ipv4Address", 4, texts.get(4) or _internal(value, 4), warn)
    ipv6 = _address(key, "spec.bgp.ipv6Address", 6, texts.get(6) or _internal(value, 6), warn)
    ipip = bgp.ipv4_ipip_tunnel_addr if bgp else ""
    tunnel = _address(key, "spec.ipv4VXLANTunnelAddr", 4, spec.ipv4_vxlan_tunnel_addr, warn)
    tunnel6 = _address(key, "spec.ipv6VXLANTunnelAddr", 6, spec.ipv6_vxlan_tunnel_addr, warn)
    host = Host(
        name,
        ipv4,
        ipv6,
        _address(key, "spec.bgp.ipv4IPIPTunnelAddr", 4, ipip, warn),
        _wireguard(value, 4, warn),
        _wireguard(value, 6, warn),
    )
    return NodeEnds(
        host,
        _vtep(name, tunnel, ipv4, spec.vxlan_tunnel_mac_addr or vtep_mac(name)),
        _vtep(name, tunnel6, ipv6, spec.vxlan_tunnel_mac_addr_v6 or vtep_mac(f"{name}-v6")),
    )


def _vtep(name: str, tunnel: Prefix | None, main: Prefix | None, mac: str) -> Vtep | None:
    if tunnel is None or main is None:
        return None
    return Vtep(name, _single(tunnel), _single(main), mac)


def _wireguard(node: Node, version: int, warn: Warn) -> WireguardEnd | None:
    """A node takes part once its public key is known."""
    status, ends = node.status, node.spec.wireguard
    if status is None:
        return None
    public = status.wireguard_public_key if version == 4 else status.wireguard_public_key_v6
    if not public:
        return None
    try:
        checks.wireguard_key(public)
    except ValueError as error:
        warn(f"{node.key}: status.wireguardPublicKey: {error}; it is left out")
        return None
    text = ""
    if ends is not None:
        text = ends.interface_ipv4_address if version == 4 else ends.interface_ipv6_address
    field = f"spec.wireguard.interfaceIPv{version}Address"
    return WireguardEnd(public, _address(node.key, field, version, text, warn))


def vtep_mac(node: str) -> str:
    """The MAC of a node's VXLAN device where its Node names none: the same on every node.

    Calico's own rule: 0x66 (locally administered, unicast) and 5 bytes of the name's SHA-1. For the
    device of IPv6 the name has "-v6" behind it.
    """
    digest = sha1(node.encode(errors="surrogatepass"), usedforsecurity=False).digest()
    return (b"\x66" + digest[:5]).hex(":")


def pool_of(value: IPPool, warn: Warn) -> Pool | None:
    """Read an IPPool; None, with a warning, where its CIDR can't be read."""
    cidr = _network(value.key, value.spec.cidr, warn)
    if cidr is None:
        return None
    spec = value.spec
    vxlan, ipip = spec.vxlan_mode or "Never", spec.ipip_mode or "Never"
    ipip = ipip if cidr.version == 4 else "Never"
    assigned = not spec.disabled and "Workload" in spec.uses
    return Pool(cidr, vxlan, ipip, spec.nat_outgoing, assigned)


def block_of(value: IPAMBlock, warn: Warn) -> Block | None:
    """Read an IPAMBlock; None for one that is being removed or can't be read."""
    spec = value.spec
    cidr = None if spec.deleted else _network(value.key, spec.cidr, warn)
    if cidr is None:
        return None
    kind, _, owner = (spec.affinity or "").partition(":")
    owner = owner if kind == "host" else ""
    users = [
        None if each.released_at is not None else each.secondary.get("node")
        for each in spec.attributes
    ]
    guests = []
    size = cidr.last - cidr.address + 1
    for ordinal, holder in enumerate(spec.allocations[:size]):
        user = users[holder] if holder is not None and 0 <= holder < len(users) else None
        if user and user != owner:
            guests.append((Prefix.single(cidr.version, cidr.address + ordinal), user))
    return Block(cidr, owner, tuple(guests))


def _internal(node: Node, version: int) -> str:
    """An address that the node gives without speaking BGP."""
    for wanted in ("CalicoNodeIP", "InternalIP"):
        for each in node.spec.addresses:
            if each.type == wanted and (":" in each.address) is (version == 6):
                return each.address
    return ""


def _address(key: Key, field: str, version: int, text: str, warn: Warn) -> Prefix | None:
    if not text:
        return None
    try:
        found = parse_prefix(text)
    except ValueError as error:
        warn(f"{key}: {field}: {error}; it is left out")
        return None
    if found.version != version:
        warn(f"{key}: {field}: {text!r} is no IPv{version} address; it is left out")
        return None
    return found


def _network(key: Key, text: str, warn: Warn) -> Prefix | None:
    try:
        return parse_network(text)
    except ValueError as error:
        warn(f"{key}: spec.cidr: {error}; it is left out")
        return None


def _single(prefix: Prefix) -> Prefix:
    return Prefix.single(prefix.version, prefix.address)
