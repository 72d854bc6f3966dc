"""What changes in one node's desired state: the engine's output, every dataplane's input.

A `Delta` holds whole values for what is new or changed and ids for what is gone. It may be applied
as one transaction; where that can't be, the safe order is: `sets`, `members`, `profiles`,
`policies`, endpoints, then the removals from endpoints back to sets.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from tortie.net import Prefix
from tortie.policy.program import (
    Endpoint,
    EndpointId,
    HostEndpoint,
    Member,
    Policy,
    PolicyId,
    Profile,
    SetId,
    SetKind,
)

MASQ_POOLS: SetId = "masq-ipam-pools"  # NET: pools with natOutgoing
ALL_POOLS: SetId = "all-ipam-pools"  # NET: every pool
ALL_HOSTS: SetId = "all-hosts-net"  # NET: the addresses of every node


class SetContents(Struct, frozen=True):
    """A whole set."""

    kind: SetKind
    members: frozenset[Member]


class MemberChange(Struct, frozen=True):
    """Members that an existing set gains and loses."""

    added: frozenset[Member] = frozenset()
    removed: frozenset[Member] = frozenset()


class RouteKind(StrEnum):
    """How this node reaches a block or address of the pools."""

    BLACKHOLE = "blackhole"  # a block of our own: what no workload has is dropped
    DIRECT = "direct"  # by the other node's address on a shared subnet
    VXLAN = "vxlan"  # through the VXLAN device, by the other node's tunnel address
    IPIP = "ipip"  # through the IPIP device, by the other node's address
    PLAIN = "plain"  # of a pool without a tunnel, to a node of our subnet
    ROUTED = "routed"  # likewise, to a node beyond it: what is between has to know the way; and
    # through a tunnel whose other end is not known yet: the kernel gets no such route from us


class Route(Struct, frozen=True):
    """How this node reaches a block or address of `node`. `gateway` is an int, None for BLACKHOLE.

    PLAIN and ROUTED are BGP's business unless the agent is told to program them. The addresses of
    local workloads are not here: they follow from `Delta.endpoints`.
    """

    destination: Prefix
    kind: RouteKind
    gateway: int | None = None
    node: str = ""


class Vtep(Struct, frozen=True):
    """One node's VXLAN tunnel end: `address` in the tunnel, `underlay` outside, MAC as text."""

    node: str
    address: Prefix
    underlay: Prefix
    mac: str


class WireguardEnd(NamedTuple):
    """A node's end of WireGuard for one IP version: its public key, and its address there if any.

    What it may send is what the routes to its node lead to, beside its tunnel addresses.
    """

    public_key: str
    address: Prefix | None = None


class Host(Struct, frozen=True, omit_defaults=True):
    """A node, this one too: its addresses with their subnets, and its ends of tunnels but VXLAN's.

    `ipip` is its address on the IPIP device. All are absent where its Node does not tell them.
    """

    name: str
    ipv4: Prefix | None = None
    ipv6: Prefix | None = None
    ipip: Prefix | None = None
    wireguard: WireguardEnd | None = None
    wireguard_v6: WireguardEnd | None = None


class Pool(NamedTuple):
    """Addresses for workloads, and how packets to them travel: "Never", "Always", "CrossSubnet".

    `assigned`: workloads are given addresses of it, so that a block of it may come at any time.
    """

    cidr: Prefix
    vxlan_mode: str = "Never"
    ipip_mode: str = "Never"
    nat_outgoing: bool = False
    assigned: bool = True


class Encapsulation(NamedTuple):
    """The tunnel devices that the pools ask of every node."""

    ipip: bool = False
    vxlan: bool = False
    vxlan_v6: bool = False


class ServiceCidrs(NamedTuple):
    """Where services have addresses, sorted: a packet to one that no NAT took must not go round."""

    cluster: tuple[Prefix, ...] = ()
    external: tuple[Prefix, ...] = ()
    load_balancer: tuple[Prefix, ...] = ()


class Delta(Struct, frozen=True):
    """The difference between two desired states of one node.

    `local_vtep`, `local_vtep_v6`, `encapsulation` and `service_cidrs` are given when they changed;
    a `None` in the first two means that there is none any more. A state begins without tunnel ends,
    devices and service addresses. The fixed sets MASQ_POOLS, ALL_POOLS and ALL_HOSTS come as sets
    like any other, and are part of the first delta even when empty.
    """

    sets: Mapping[SetId, SetContents] = {}
    members: Mapping[SetId, MemberChange] = {}
    sets_removed: frozenset[SetId] = frozenset()
    policies: Mapping[PolicyId, Policy] = {}
    policies_removed: frozenset[PolicyId] = frozenset()
    profiles: Mapping[str, Profile] = {}
    profiles_removed: frozenset[str] = frozenset()
    endpoints: Mapping[EndpointId, Endpoint] = {}
    endpoints_removed: frozenset[EndpointId] = frozenset()
    host_endpoints: Mapping[EndpointId, HostEndpoint] = {}
    host_endpoints_removed: frozenset[EndpointId] = frozenset()
    routes: Mapping[Prefix, Route] = {}
    routes_removed: frozenset[Prefix] = frozenset()
    vteps: Mapping[str, Vtep] = {}
    vteps_removed: frozenset[str] = frozenset()
    vteps_v6: Mapping[str, Vtep] = {}
    vteps_v6_removed: frozenset[str] = frozenset()
    local_vtep: tuple[Vtep | None] | None = None
    local_vtep_v6: tuple[Vtep | None] | None = None
    hosts: Mapping[str, Host] = {}
    hosts_removed: frozenset[str] = frozenset()
    pools: Mapping[Prefix, Pool] = {}
    pools_removed: frozenset[Prefix] = frozenset()
    encapsulation: Encapsulation | None = None
    service_cidrs: ServiceCidrs | None = None

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING = Delta()
