"""What a lab consists of, worked out from its name and number of nodes. Pure.

                    ┌──────── router ────────┐
          br-a ─────┤                        ├───── br-b
        node-1 node-2          br-out            node-3
                          outside outside-2

Two subnets of nodes, so that both ways between nodes are there: directly on a shared subnet and
through the VXLAN tunnel across the router. Two hosts behind the router are what is outside of the
cluster. Every lab has the same addresses: none is seen outside of the lab's own namespaces.
"""

import re
from typing import NamedTuple

from tortie.lab.errors import LabError
from tortie.net import Prefix, format_address, parse_prefix

DEFAULT_NAME = "lab"
DEFAULT_NODES = 3
MOST_NODES = 100
POOL_CIDR = "192.168.0.0/16"  # Calico's default pool
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")


class Subnet(NamedTuple):
    """A bridge of the router; `gateway` is the router's address on it, with its length."""

    bridge: str
    gateway: Prefix


class Station(NamedTuple):
    """A namespace with one interface on a subnet: a node or an outside host."""

    name: str
    namespace: str
    subnet: Subnet
    address: Prefix  # with its subnet's length

    @property
    def address_text(self) -> str:
        """The address without its length."""
        return format_address(self.address.version, self.address.address)


class Plan(NamedTuple):
    """One lab."""

    name: str
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


def _subnet(bridge: str, gateway: str) -> Subnet:
    return Subnet(bridge, parse_prefix(gateway))


SUBNET_A = _subnet("br-a", "172.30.1.1/24")
SUBNET_B = _subnet("br-b", "172.30.2.1/24")
OUTSIDE = _subnet("br-out", "203.0.113.1/24")  # TEST-NET-3: nobody's


def check_name(name: str) -> None:
    """Raises LabError for what can't name a lab: names become paths and namespaces."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} can't name a lab: use up to 20 of a-z, 0-9 and '-', not at the ends"
        )


def plan_lab(name: str, node_count: int) -> Plan:
    """The lab of that name. The first half of the nodes, rounded up, is on subnet A.

    Raises LabError for an impossible name or number.
    """
    check_name(name)
    if not 1 <= node_count <= MOST_NODES:
        raise LabError(f"a lab has 1 to {MOST_NODES} nodes, not {node_count}")
    on_a = (node_count + 1) // 2
    nodes = tuple(
        _station(name, f"node-{number}", SUBNET_A if number <= on_a else SUBNET_B, 10 + number)
        for number in range(1, node_count + 1)
    )
    outside = (
        _station(name, "outside", OUTSIDE, 10),
        _station(name, "outside-2", OUTSIDE, 20),
    )
    return Plan(name, namespace_name(name, "router"), (SUBNET_A, SUBNET_B, OUTSIDE), nodes, outside)


def namespace_name(lab: str, part: str) -> str:
    """The name under which `ip netns` lists a namespace of the lab."""
    return f"tortie.{lab}.{part}"


def _station(lab: str, name: str, subnet: Subnet, number: int) -> Station:
    gateway = subnet.gateway
    address = Prefix(gateway.version, gateway.network.address + number, gateway.length)
    return Station(name, namespace_name(lab, name), subnet, address)
