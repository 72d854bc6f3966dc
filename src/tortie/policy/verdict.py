"""What the evaluator says: a verdict, and a step for every stage that was asked."""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from tortie.policy.packet import Packet
from tortie.policy.program import EndpointId, PolicyId


class Direction(StrEnum):
    """Which side of a packet: egress of its source, ingress of its destination."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Place(StrEnum):
    """Where on its way a packet is judged: at a workload, or at one of a host endpoint's stages."""

    WORKLOAD = "workload"
    UNTRACKED = "untracked"  # before connection tracking
    PRE_DNAT = "pre-DNAT"  # before destination NAT
    FORWARD = "forward"  # what the node passes on
    NORMAL = "normal"  # what begins or ends at the node itself


class Stage(StrEnum):
    """Which part of the walk a step tells of."""

    ENDPOINT = "endpoint"  # is it programmed, does it send from its own address
    FAILSAFE = "failsafe"
    TIER = "tier"
    PROFILE = "profile"
    END = "end"  # nothing decided


class Outcome(StrEnum):
    """What a stage made of the packet. NEXT: ask the next stage."""

    ALLOW = "allow"
    DENY = "deny"
    NEXT = "next"


class RuleRef(NamedTuple):
    """One rule: its policy (or profile's name), its list there, and its place in it from 0."""

    owner: PolicyId | str
    direction: Direction
    position: int

    def __str__(self) -> str:
        owner = self.owner if isinstance(self.owner, PolicyId) else f"Profile({self.owner})"
        return f"{owner} {self.direction}[{self.position}]"


class Miss(NamedTuple):
    """A rule that was asked and did not match, and the first condition that failed."""

    rule: RuleRef
    why: str


class Step(Struct, frozen=True):
    """What one stage did with the packet, and why.

    `name` is the tier's or profile's. `matched` is the rule that decided; a tier without one did
    its default action (none before connection tracking and NAT), a profile without one has no say.
    `reason` is given at the other stages. `logged` are the Log rules that matched on the way.
    """

    direction: Direction
    endpoint: EndpointId
    stage: Stage
    outcome: Outcome
    name: str = ""
    matched: RuleRef | None = None
    reason: str = ""
    logged: tuple[RuleRef, ...] = ()
    misses: tuple[Miss, ...] = ()
    place: Place = Place.WORKLOAD


class Verdict(Struct, frozen=True):
    """Whether the packet passes, and each stage that was asked, in order."""

    packet: Packet
    allowed: bool
    steps: tuple[Step, ...]
