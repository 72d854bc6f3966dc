"""What routing needs to know of nodes, pools and blocks, read from their resources."""

from collections.abc import Callable
from hashlib import sha1
from typing import NamedTuple

from tortie.api import IPAMBlock, IPPool, Key, Node
from tortie.engine.delta import Vtep
from tortie.net import Prefix, parse_network, parse_prefix

Warn = Callable[[str], None]


class NodeAddresses(NamedTuple):
    """A node's main addresses with their subnets' lengths, and its VXLAN tunnel end."""

    name: str
    ipv4: Prefix | None
    ipv6: Prefix | None
    vtep: Vtep | None

    def main(self, version: int) -> Prefix | None:
        """The main address of an IP version."""
        return self.ipv4 if version == 4 else self.ipv6


class Pool(NamedTuple):
    """A pool: its addresses and how packets to them travel."""

    cidr: Prefix
    vxlan_mode: str  # "Never", "Always" or "CrossSubnet"
    nat_outgoing: bool


class Block(NamedTuple):
    """A block: the node it belongs to ("" for none), and who uses addresses of it.

    `guests` are (address, node) of the addresses in use by other nodes than the owner.
    """

    cidr: Prefix
    owner: str
    guests: tuple[tuple[Prefix, str], ...]


def node_addresses(name: str, value: Node, warn: Warn) -> NodeAddresses:
    """Read a Node; what can't be read counts as absent, with a warning."""
    key = value.key
    bgp = value.spec.bgp
    texts = {4: bgp.ipv4_address, 6: bgp.ipv6_address} if bgp else {}
    ipv4 = _address(key, "spec.bgp.ipv4Address", 4, texts.get(4) or _internal(value, 4), warn)
    ipv6 = _address(key, "spec.bgp.ipv6Address", 6, texts.get(6) or _internal(value, 6), warn)
    tunnel = _address(key, "spec.ipv4VXLANTunnelAddr", 4, value.spec.ipv4_vxlan_tunnel_addr, warn)
    vtep = None
    if tunnel is not None and ipv4 is not None:
        mac = value.spec.vxlan_tunnel_mac_addr or vtep_mac(name)
        vtep = Vtep(name, _single(tunnel), _single(ipv4), mac)
    return NodeAddresses(name, ipv4, ipv6, vtep)


def vtep_mac(node: str) -> str:
    """The MAC of a node's VXLAN device where its Node names none: the same on every node.

    Calico's own rule: 0x66 (locally administered, unicast) and 5 bytes of the name's SHA-1.
    """
    digest = sha1(node.encode(errors="surrogatepass"), usedforsecurity=False).digest()
    return (b"\x66" + digest[:5]).hex(":")


def pool_of(value: IPPool, warn: Warn) -> Pool | None:
    """Read an IPPool; None, with a warning, where its CIDR can't be read."""
    cidr = _network(value.key, value.spec.cidr, warn)
    if cidr is None:
        return None
    return Pool(cidr, value.spec.vxlan_mode or "Never", value.spec.nat_outgoing)


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
