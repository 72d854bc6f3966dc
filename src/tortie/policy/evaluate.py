"""The reference evaluator: (program, packet) → verdict, with the reason at every stage.

It is written to be read beside the text of the semantics; every dataplane must agree with it.

1. A packet passes if every end that is asked allows it: the host endpoint by which it comes into
   the node, the egress of its source workload, the ingress of its destination workload, the host
   endpoint by which it leaves. An end that is no endpoint of this program has no say; one that is
   named but not programmed gets nothing.
2. A workload sends only from its own addresses. The node itself always reaches its workloads; they
   reach it where their egress allows it and the agent's setting doesn't drop it.
3. The tiers of the endpoint's direction are walked in order, and in each its policies in order,
   and in each their rules in order. The first rule that matches decides: Allow and Deny end the
   walk, Pass skips the rest of the tier, Log is noted and the walk goes on.
4. A tier whose policies apply and in which no rule decided does its default action: Deny ends the
   walk, Pass goes to the next tier. A tier without applicable policies isn't listed at all.
5. After the tiers, the endpoint's profiles are asked in order, in the same way; Pass skips the
   rest of the profile. No profile that decides means Deny.

At a host endpoint (`_Host`) the same walk is done at several places, in this order:

6. Untracked: what comes in, wherever it goes, and what the node itself sends. Pre-DNAT: what comes
   in. Both see the packet as it was before NAT. A rule of theirs that allows is the last word of
   this host endpoint; tiers have no default action there and profiles are not asked, so that what
   no rule decides goes on to the next place.
7. Forward: what the node passes on. No policy for it, or Pass out of the last tier: Allow.
8. Normal: what begins or ends at the node itself: tiers, then profiles; none decides means Deny.
9. Failsafe ports pass at untracked, pre-DNAT and normal before any policy is asked; at the first
   two that only means to go on. Before connection tracking their replies do, too.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tortie.net import Prefix
from tortie.policy.matching import why_not
from tortie.policy.packet import Packet, Path, Program, ToHost
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    Failsafe,
    HostEndpoint,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
    Tiers,
)
from tortie.policy.verdict import Direction, Miss, Outcome, Place, RuleRef, Stage, Step, Verdict

WhyNot = Callable[[Rule, Packet, Program], str | None]


def evaluate(program: Program, packet: Packet, why: WhyNot = why_not) -> Verdict:
    """What becomes of `packet`. All ends are walked even if the first denies, for the reasons.

    `why` says why a rule does not match: by default in words for people.
    """
    asked = _Asked(program, packet, why)
    ends = (
        _host(asked, Direction.INGRESS, packet.entered),
        _workload(asked, Direction.EGRESS, packet.source_endpoint),
        _to_host(asked),
        _workload(asked, Direction.INGRESS, packet.destination_endpoint),
        _host(asked, Direction.EGRESS, packet.left),
    )
    steps = tuple(step for end in ends for step in _until_decided(end))
    allowed = all(step.outcome is not Outcome.DENY for step in steps)
    return Verdict(packet, allowed, steps)


class _Asked(NamedTuple):
    """What is judged, by what, and how a miss is told."""

    program: Program
    packet: Packet
    why: WhyNot


def _until_decided(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if step.outcome is not Outcome.NEXT:
            return


def _workload(asked: _Asked, direction: Direction, name: EndpointId | None) -> Iterator[Step]:
    """The stages of a workload, lazily and in order; the last one always decides."""
    if name is None:
        return
    packet, walk = asked.packet, _Walk(asked, direction, name)
    endpoint = asked.program.endpoints.get(name)
    if endpoint is None:
        yield walk.end(Outcome.DENY, "no such endpoint is programmed", Stage.ENDPOINT)
        return
    if direction is Direction.INGRESS and packet.path is Path.FROM_HOST:
        yield walk.end(Outcome.ALLOW, "its own node reaches it always", Stage.ENDPOINT)
    if direction is Direction.EGRESS and not _owns_source(endpoint, packet):
        reason = "the source address is not the workload's own"
        yield walk.end(Outcome.DENY, reason, Stage.ENDPOINT)
    yield from map(walk.tier, walk.of(Tiers(endpoint.ingress, endpoint.egress)))
    yield from map(walk.profile, endpoint.profiles)
    yield walk.end(Outcome.DENY, "no profile allows it")


def _to_host(asked: _Asked) -> Iterator[Step]:
    """What comes from a workload to its own node, beside the workload's egress policy."""
    program, packet, _ = asked
    if packet.path is Path.TO_HOST and packet.source_endpoint is not None:
        walk = _Walk(asked, Direction.EGRESS, packet.source_endpoint)
        dropped = program.to_host is ToHost.DROP
        reason = f"DefaultEndpointToHostAction is {program.to_host}"
        yield walk.end(Outcome.DENY if dropped else Outcome.ALLOW, reason)


def _owns_source(endpoint: Endpoint, packet: Packet) -> bool:
    source = Prefix.single(packet.version, packet.source)
    return any(net.contains(source) for net in (*endpoint.addresses, *endpoint.allowed_sources))


def _host(asked: _Asked, direction: Direction, name: EndpointId | None) -> Iterator[Step]:
    """The places of a host endpoint in order, each with its stages; the last one decides."""
    if name is None:
        return
    packet, at = asked.packet, _Walk(asked, direction, name)
    host = asked.program.host_endpoints.get(name)
    if host is None:
        yield at.end(Outcome.DENY, "no such host endpoint is programmed", Stage.ENDPOINT)
        return
    before = at._replace(asked=asked._replace(packet=packet.before_nat))
    if direction is Direction.INGRESS or packet.path is Path.FROM_HOST:
        yield from _early(before._replace(place=Place.UNTRACKED), host.untracked)
    if direction is Direction.INGRESS:
        yield from _early(before._replace(place=Place.PRE_DNAT), host.pre_dnat)
    if packet.path is Path.FORWARD:
        yield from _forwarded(at._replace(place=Place.FORWARD), host)
    else:
        yield from _normal(at._replace(place=Place.NORMAL), host)


def _early(walk: "_Walk", tiers: Tiers) -> Iterator[Step]:
    """Untracked and pre-DNAT: only what a rule says counts. No policies there, no steps."""
    asked = walk.of(tiers)
    failsafe = walk.failsafe() if asked else None
    if failsafe is not None:
        yield walk.end(Outcome.NEXT, f"{failsafe} is failsafe", Stage.FAILSAFE)
    else:
        yield from map(walk.early_tier, asked)


def _forwarded(walk: "_Walk", host: HostEndpoint) -> Iterator[Step]:
    asked = walk.of(host.forward)
    yield from map(walk.tier, asked)
    yield walk.end(
        Outcome.ALLOW, "all tiers pass it" if asked else "no policy for what is forwarded"
    )


def _normal(walk: "_Walk", host: HostEndpoint) -> Iterator[Step]:
    failsafe = walk.failsafe()
    if failsafe is not None:
        yield walk.end(Outcome.ALLOW, f"{failsafe} is failsafe", Stage.FAILSAFE)
    yield from map(walk.tier, walk.of(host.normal))
    yield from map(walk.profile, host.profiles)
    yield walk.end(Outcome.DENY, "no profile allows it")


class _Walk(NamedTuple):
    """One packet on its way through one place."""

    asked: _Asked
    direction: Direction
    endpoint: EndpointId
    place: Place = Place.WORKLOAD

    def of(self, tiers: Tiers) -> tuple[TierPolicies, ...]:
        """The tiers of this direction."""
        return tiers.egress if self.direction is Direction.EGRESS else tiers.ingress

    def tier(self, tier: TierPolicies) -> Step:
        """Every policy of the tier that applies, then the tier's default action."""
        denies = tier.default_action is DefaultAction.DENY
        return self._tier(tier, Outcome.DENY if denies else Outcome.NEXT)

    def early_tier(self, tier: TierPolicies) -> Step:
        """Every policy of the tier that applies; where none decides, what comes later does."""
        return self._tier(tier, Outcome.NEXT)

    def profile(self, name: str) -> Step:
        """One profile's rules; where none decides, the next profile is asked."""
        rules = self._rules(name, self.asked.program.profiles[name])
        return self._ask(Stage.PROFILE, name, rules, Outcome.NEXT)

    def failsafe(self) -> Failsafe | None:
        """The failsafe port that the packet is for, or (without tracking) comes back from."""
        inward = self.direction is Direction.INGRESS
        packet, ports = self.asked.packet, self.asked.program.failsafes
        peer = Prefix.single(packet.version, packet.source if inward else packet.destination)
        asked = [(ports.inbound if inward else ports.outbound, packet.destination_port)]
        if self.place is Place.UNTRACKED:
            asked.append((ports.outbound if inward else ports.inbound, packet.source_port))
        for listed, port in asked:
            for each in listed:
                if (each.protocol, each.port) == (packet.protocol, port) and (
                    each.net is None or each.net.contains(peer)
                ):
                    return each
        return None

    def end(self, outcome: Outcome, reason: str, stage: Stage = Stage.END) -> Step:
        """A step that no rule has a part in."""
        return Step(self.direction, self.endpoint, stage, outcome, reason=reason, place=self.place)

    def _tier(self, tier: TierPolicies, default: Outcome) -> Step:
        rules = (
            numbered
            for name in tier.policies
            for numbered in self._rules(name, self.asked.program.policies[name])
        )
        return self._ask(Stage.TIER, tier.tier, rules, default)

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
        program, packet, why_not = self.asked
        matched, outcome = None, default
        logged: list[RuleRef] = []
        misses: list[Miss] = []
        for ref, rule in rules:
            why = why_not(rule, packet, program)
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
            place=self.place,
        )


_OUTCOMES = {
    Action.ALLOW: Outcome.ALLOW,
    Action.DENY: Outcome.DENY,
    Action.PASS: Outcome.NEXT,
}
