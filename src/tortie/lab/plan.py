"""What a lab consists of, worked out from its name and shape. Pure.

                    ┌──────── router ────────┐
          br-a ─────┤                        ├───── br-b
        node-1 node-2          br-out            node-3
                          outside outside-2

Two subnets of nodes, so that both ways between nodes are there: directly on a shared subnet, and
across the router. Two hosts behind the router are what is outside of the cluster. Every lab has the
same addresses: none is seen outside of the lab's own namespaces.
"""

import re
from enum import StrEnum
from typing import Literal, NamedTuple

from msgspec import Struct

from tortie.lab.errors import LabError
from tortie.net import Prefix, format_address, parse_prefix

DEFAULT_NAME = "lab"
DEFAULT_NODES = 3
MOST_NODES = 100
POOL_CIDR = "192.168.0.0/16"  # Calico's default pool
POOL_CIDR6 = "fd00:192:168::/48"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")

Mode = Literal["Always", "CrossSubnet"]


class Encap(StrEnum):
    """How packets between nodes travel."""

    NONE = "none"
    IPIP = "ipip"
    VXLAN = "vxlan"
    WIREGUARD = "wireguard"
    BGP = "bgp"


class Families(StrEnum):
    """Which IP versions nodes and pods have."""

    IPV4 = "4"
    IPV6 = "6"
    DUAL = "dual"

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions, the one that comes first first."""
        return {"4": (4,), "6": (6,), "dual": (4, 6)}[self.value]


class Shape(Struct, frozen=True):
    """What a lab is made with. `placement` has a letter, the subnet's, for each node: "aab".

    `mode` is that of the pools' tunnel, "Always" or "CrossSubnet".
    """

    placement: str
    encap: Encap = Encap.VXLAN
    mode: Mode = "CrossSubnet"
    families: Families = Families.IPV4

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self.placement)

    def grown(self, nodes: int) -> "Shape":
        """With more nodes: those there are stay where they are."""
        placement = self.placement
        while len(placement) < nodes:
            placement += "a" if placement.count("a") <= placement.count("b") else "b"
        return Shape(placement, self.encap, self.mode, self.families)


def shape_of(
    nodes: int,
    encap: Encap = Encap.VXLAN,
    mode: Mode = "CrossSubnet",
    families: Families = Families.IPV4,
) -> Shape:
    """The first half of the nodes, rounded up, is on subnet A. Raises LabError."""
    if not 1 <= nodes <= MOST_NODES:
        raise LabError(f"a lab has 1 to {MOST_NODES} nodes, not {nodes}")
    if encap is Encap.IPIP and families is Families.IPV6:
        raise LabError("IPIP carries IPv4 only: choose another --encap, or --ip 4 or dual")
    on_a = (nodes + 1) // 2
    return Shape("a" * on_a + "b" * (nodes - on_a), encap, mode, families)


class Subnet(NamedTuple):
    """A bridge of the router; `gateways` are the router's addresses on it, with their lengths."""

    bridge: str
    gateways: tuple[Prefix, ...]

    @property
    def gateway(self) -> Prefix:
        """The first of them."""
        return self.gateways[0]

    def gateway_of(self, version: int) -> Prefix | None:
        """That of one IP version."""
        return next((one for one in self.gateways if one.version == version), None)


class Station(NamedTuple):
    """A namespace with one interface on a subnet: a node or an outside host."""

    name: str
    namespace: str
    subnet: Subnet
    addresses: tuple[Prefix, ...]  # with their subnets' lengths

    @property
    def address(self) -> Prefix:
        """The first of them."""
        return self.addresses[0]

    def address_of(self, version: int) -> Prefix | None:
        """That of one IP version."""
        return next((one for one in self.addresses if one.version == version), None)

    @property
    def address_text(self) -> str:
        """The first address without its length."""
        return format_address(self.address.version, self.address.address)

    def text_of(self, version: int) -> str:
        """The address of one IP version without its length; "" for none."""
        found = self.address_of(version)
        return format_address(version, found.address) if found else ""


class Plan(NamedTuple):
    """One lab."""

    name: str
    shape: Shape
    router: str  # its namespace
    subnets: tuple[Subnet, ...]
    nodes: tuple[Station, ...]
    outside: tuple[Station, ...]

    def node(self, name: str) -> Station:
        """The node of that name. Raises LabError."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise LabError(f"lab {self.name!r} has no node {name!r}: there are {names}")


_GATEWAYS: dict[str, tuple[str, str]] = {
    "br-a": ("172.30.1.1/24", "fd00:30:1::1/64"),
    "br-b": ("172.30.2.1/24", "fd00:30:2::1/64"),
    "br-out": ("203.0.113.1/24", "2001:db8:113::1/64"),  # TEST-NET-3: nobody's
}


def check_name(name: str) -> None:
    """Raises LabError for what can't name a lab: names become paths and namespaces."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} can't name a lab: use up to 20 of a-z, 0-9 and '-', not at the ends"
        )


def plan_lab(name: str, shape: Shape | int) -> Plan:
    """The lab of that name; of a number of nodes, with the default shape.

    Raises LabError for an impossible name or number.
    """
    check_name(name)
    shape = shape_of(shape) if isinstance(shape, int) else shape
    versions = shape.families.versions
    subnets = {bridge: _subnet(bridge, versions) for bridge in _GATEWAYS}
    nodes = tuple(
        _station(name, f"node-{number}", subnets[f"br-{letter}"], 10 + number)
        for number, letter in enumerate(shape.placement, 1)
    )
    outside = (
        _station(name, "outside", subnets["br-out"], 10),
        _station(name, "outside-2", subnets["br-out"], 20),
    )
    router = namespace_name(name, "router")
    return Plan(name, shape, router, tuple(subnets.values()), nodes, outside)


def _subnet(bridge: str, versions: tuple[int, ...]) -> Subnet:
    found = {gateway.version: gateway for gateway in map(parse_prefix, _GATEWAYS[bridge])}
    return Subnet(bridge, tuple(found[version] for version in versions))


def namespace_name(lab: str, part: str) -> str:
    """The name under which `ip netns` lists a namespace of the lab."""
    return f"tortie.{lab}.{part}"


def _station(lab: str, name: str, subnet: Subnet, number: int) -> Station:
    addresses = tuple(
        Prefix(gateway.version, gateway.network.address + number, gateway.length)
        for gateway in subnet.gateways
    )
    return Station(name, namespace_name(lab, name), subnet, addresses)
