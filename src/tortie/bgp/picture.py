"""One node's BGP as values: whom it speaks with, what it tells and takes.

All of it is checked: numbers are in their ranges, addresses are ints, names are BIRD symbols. What
could not be understood is not in it, but in `problems`.
"""

from typing import Literal, NamedTuple

from msgspec import Struct

from tortie.bgp.words import Password
from tortie.net import Prefix

Origin = Literal["NodeMesh", "NodePeer", "GlobalPeer"]
NextHop = Literal["Auto", "Self", "Keep"]
Direction = Literal["import", "export"]


class Problem(NamedTuple):
    """Something in a resource that is left out, or closed, and why."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class Bfd(Struct, frozen=True):
    """How a peer's loss is noticed: no packet for `multiplier` times `interval` milliseconds."""

    interval: int = 100
    multiplier: int = 3


class PrefixMatch(Struct, frozen=True):
    """Routes within `prefix` (or equal to it) of these lengths; `negated`: all others."""

    prefix: Prefix
    exact: bool
    negated: bool
    low: int
    high: int


class Operation(Struct, frozen=True):
    """One change to an accepted route; exactly one is set."""

    community: tuple[int, ...] = ()
    prepend: tuple[int, ...] = ()
    priority: int = 0


class Rule(Struct, frozen=True):
    """One rule of a filter: all that is given must hold."""

    accept: bool
    nets: PrefixMatch | None = None
    from_peers: bool = False
    interface: str = ""
    peer_type: Literal["eBGP", "iBGP", ""] = ""
    community: tuple[int, ...] = ()
    as_path: tuple[int, ...] = ()
    priority: int = 0
    operations: tuple[Operation, ...] = ()


class Filter(Struct, frozen=True):
    """A BGPFilter under its BIRD symbol. `closed`: it can't be trusted, so nothing passes."""

    symbol: str
    name: str
    import4: tuple[Rule, ...] = ()
    export4: tuple[Rule, ...] = ()
    import6: tuple[Rule, ...] = ()
    export6: tuple[Rule, ...] = ()
    closed: bool = False

    def rules(self, version: int, direction: Direction) -> tuple[Rule, ...]:
        """The rules of one IP version and direction."""
        found: tuple[Rule, ...] = getattr(self, f"{direction}{version}")
        return found


class Session(Struct, frozen=True):
    """One BGP session, of one IP version.

    `source` is None where the kernel chooses the address. `hops`: 0 for a neighbour on our own
    link, else the most hops. `ttl`: packets from farther away are dropped. `cluster_id` is set
    where the peer is our client as route reflector. `closed`: nothing passes but what `filters`
    accept (peers that are workloads). `interface` is such a workload's, where it calls `source`
    instead of the node's own address.
    """

    symbol: str
    described: str
    origin: Origin
    version: int
    source: int | None
    local_as: int
    peer: int
    port: int
    peer_as: int
    node: str = ""
    passive: bool = False
    password: Password | None = None
    hops: int = 255
    ttl: bool = False
    next_hop: NextHop = "Auto"
    restart_seconds: int = 120
    keepalive_seconds: int = 0
    allowed_local_as: int | None = None
    cluster_id: int | None = None
    filters: tuple[str, ...] = ()
    gateway: int | None = None
    bfd: Bfd | None = None
    closed: bool = False
    interface: str = ""

    @property
    def is_internal(self) -> bool:
        """iBGP, rather than eBGP."""
        return self.local_as == self.peer_as

    @property
    def keeps_next_hop(self) -> bool:
        """What is passed on leads to who told it, rather than here. Auto: inside of our AS only,
        since others need not know the way there (RFC 4271, 5.1.3)."""
        return self.next_hop == "Keep" or (self.next_hop == "Auto" and self.is_internal)


class PoolRoutes(Struct, frozen=True, order=True):
    """What BGP does with a pool's routes.

    `told`: to anybody at all. `told_inside`: to peers of our own AS. `programmed`: BIRD writes what
    it learns into the kernel; else the agent has ways of its own (a tunnel).
    """

    cidr: Prefix
    told: bool
    told_inside: bool
    programmed: bool


class Advertisement(Struct, frozen=True):
    """Communities for the routes in a prefix."""

    cidr: Prefix
    communities: tuple[tuple[int, ...], ...]


class Family(Struct, frozen=True):
    """What is told and taken of one IP version.

    `blocks` are ours, `services` the addresses that we announce for services, `service_ranges`
    where any node's lie.
    """

    blocks: tuple[Prefix, ...] = ()
    services: tuple[Prefix, ...] = ()
    service_ranges: tuple[Prefix, ...] = ()
    pools: tuple[PoolRoutes, ...] = ()
    advertised: tuple[Advertisement, ...] = ()
    priority: int = 1024


class Picture(Struct, frozen=True):
    """One node's BGP. `family` by IP version: `family4`, `family6`."""

    node: str
    router_id: int
    log_severity: str
    port: int
    strict_bind: bool
    ignored_interfaces: tuple[str, ...]
    workload_prefixes: tuple[str, ...]
    family4: Family
    family6: Family
    sessions: tuple[Session, ...]
    filters: tuple[Filter, ...]
    problems: tuple[Problem, ...] = ()

    def family(self, version: int) -> Family:
        """Of one IP version."""
        return self.family4 if version == 4 else self.family6
