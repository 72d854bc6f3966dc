"""The reference evaluator: (program, packet) → verdict, with the reason at every stage.

It is written to be read beside the text of the semantics; every dataplane must agree with it.

1. A packet passes if the egress of its source endpoint and the ingress of its destination
   endpoint both allow it. An end that is no endpoint of this program has no say; an endpoint
   that is named but not programmed gets nothing.
2. A workload sends only from its own addresses.
3. The tiers of the endpoint's direction are walked in order, and in each its policies in order,
   and in each their rules in order. The first rule that matches decides: Allow and Deny end the
   walk, Pass skips the rest of the tier, Log is noted and the walk goes on.
4. A tier whose policies apply and in which no rule decided does its default action: Deny ends the
   walk, Pass goes to the next tier. A tier without applicable policies isn't listed at all.
5. After the tiers, the endpoint's profiles are asked in order, in the same way; Pass skips the
   rest of the profile. No profile that decides means Deny.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from tortie.net import Prefix
from tortie.policy.matching import why_not
from tortie.policy.packet import Packet, Program
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
)


class Direction(StrEnum):
    """Which side of a packet: egress of its source, ingress of its destination."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Stage(StrEnum):
    """Which part of the walk a step tells of."""

    ENDPOINT = "endpoint"  # is it programmed, does it send from its own address
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
    its default action, a profile without one has no say. `reason` is given at the other stages.
    `logged` are the Log rules that matched on the way.
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


class Verdict(Struct, frozen=True):
    """Whether the packet passes, and each stage that was asked, in order."""

    packet: Packet
    allowed: bool
    steps: tuple[Step, ...]


def evaluate(program: Program, packet: Packet) -> Verdict:
    """What becomes of `packet`. Both sides are walked even if the first denies, for the reasons."""
    sides = (
        (Direction.EGRESS, packet.source_endpoint),
        (Direction.INGRESS, packet.destination_endpoint),
    )
    steps = tuple(
        step
        for direction, endpoint in sides
        if endpoint is not None
        for step in _until_decided(_side(program, packet, direction, endpoint))
    )
    allowed = all(step.outcome is not Outcome.DENY for step in steps)
    return Verdict(packet, allowed, steps)


def _until_decided(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if step.outcome is not Outcome.NEXT:
            return


def _side(
    program: Program, packet: Packet, direction: Direction, name: EndpointId
) -> Iterator[Step]:
    """The stages of one side, lazily and in order; the last one always decides."""
    endpoint = program.endpoints.get(name)
    if endpoint is None:
        reason = "no such endpoint is programmed"
        yield Step(direction, name, Stage.ENDPOINT, Outcome.DENY, reason=reason)
        return
    if direction is Direction.EGRESS and not _owns_source(endpoint, packet):
        reason = "the source address is not the workload's own"
        yield Step(direction, name, Stage.ENDPOINT, Outcome.DENY, reason=reason)
    walk = _Walk(program, packet, direction, name)
    yield from map(
        walk.tier, endpoint.egress if direction is Direction.EGRESS else endpoint.ingress
    )
    yield from map(walk.profile, endpoint.profiles)
    yield Step(direction, name, Stage.END, Outcome.DENY, reason="no profile allows it")


def _owns_source(endpoint: Endpoint, packet: Packet) -> bool:
    source = Prefix.single(packet.version, packet.source)
    return any(net.contains(source) for net in (*endpoint.addresses, *endpoint.allowed_sources))


class _Walk(NamedTuple):
    """One packet on its way through one side."""

    program: Program
    packet: Packet
    direction: Direction
    endpoint: EndpointId

    def tier(self, tier: TierPolicies) -> Step:
        """Every policy of the tier that applies, then the tier's default action."""
        rules = (
            numbered
            for name in tier.policies
            for numbered in self._rules(name, self.program.policies[name])
        )
        denies = tier.default_action is DefaultAction.DENY
        default = Outcome.DENY if denies else Outcome.NEXT
        return self._ask(Stage.TIER, tier.tier, rules, default)

    def profile(self, name: str) -> Step:
        """One profile's rules; where none decides, the next profile is asked."""
        rules = self._rules(name, self.program.profiles[name])
        return self._ask(Stage.PROFILE, name, rules, Outcome.NEXT)

    def _rules(
        self, name: PolicyId | str, owner: Policy | Profile
    ) -> Iterator[tuple[RuleRef, Rule]]:
        rules = owner.egress if self.direction is Direction.EGRESS else owner.ingress
        for position, rule in enumerate(rules):
            yield RuleRef(name, self.direction, position), rule

    def _ask(
        self, stage: Stage, name: str, rules: Iterable[tuple[RuleRef, Rule]], default: Outcome
    ) -> Step:
        """The first rule that matches and isn't Log decides; without one, `default` does."""
        matched, outcome = None, default
        logged: list[RuleRef] = []
        misses: list[Miss] = []
        for ref, rule in rules:
            why = why_not(rule, self.packet, self.program)
            if why is not None:
                misses.append(Miss(ref, why))
            elif rule.action is Action.LOG:
                logged.append(ref)
            else:
                matched, outcome = ref, _OUTCOMES[rule.action]
                break
        return Step(
            direction=self.direction,
            endpoint=self.endpoint,
            stage=stage,
            outcome=outcome,
            name=name,
            matched=matched,
            logged=tuple(logged),
            misses=tuple(misses),
        )


_OUTCOMES = {
    Action.ALLOW: Outcome.ALLOW,
    Action.DENY: Outcome.DENY,
    Action.PASS: Outcome.NEXT,
}
