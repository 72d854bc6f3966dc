"""What changes in one node's desired state: the engine's output, every dataplane's input.

A `Delta` holds whole values for what is new or changed and ids for what is gone. It may be applied
as one transaction; where that can't be, the safe order is: `sets`, `members`, `profiles`,
`policies`, `endpoints`, then the removals from endpoints back to sets.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from tortie.net import Prefix
from tortie.policy.program import (
    Endpoint,
    EndpointId,
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


class Route(Struct, frozen=True):
    """A route that this node needs. `gateway` is an address as int, None for BLACKHOLE.

    The addresses of local workloads are not here: they follow from `Delta.endpoints`.
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


class Delta(Struct, frozen=True):
    """The difference between two desired states of one node.

    `local_vtep` is this node's own tunnel end when it changed; a `None` in it means that there is
    none any more. The fixed sets MASQ_POOLS, ALL_POOLS and ALL_HOSTS come as sets like any other,
    and are part of the first delta even when empty.
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
    routes: Mapping[Prefix, Route] = {}
    routes_removed: frozenset[Prefix] = frozenset()
    vteps: Mapping[str, Vtep] = {}
    vteps_removed: frozenset[str] = frozenset()
    local_vtep: tuple[Vtep | None] | None = None

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING = Delta()
