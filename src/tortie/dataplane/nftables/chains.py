"""Policies, profiles and endpoints as chains of rules. Pure.

A packet's mark carries what a policy said back to the endpoint's chain: accept or pass. Both bits
are clear when a packet enters an endpoint's chain, and a packet that comes back from it without
the accept bit is dropped by the dispatch chain, whatever went wrong in between.

The walk of an endpoint's chain is that of `tortie.policy.evaluate`: tiers in order, in each its
policies in order while none has decided, then the tier's default action, then the profiles.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.anonymous import AnonymousSet
from tortie.dataplane.nftables.coalesce import united
from tortie.dataplane.nftables.conditions import Match, matches
from tortie.dataplane.nftables.encoding import encoded
from tortie.dataplane.nftables.names import (
    ChainName,
    SetName,
    Way,
    endpoint_chain,
    policy_chain,
    profile_chain,
    run_chain,
)
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.statements import Limit, Log, reject
from tortie.dataplane.nftables.terms import (
    ALL_BITS,
    COUNTER,
    DROP,
    RETURN,
    Bits,
    ByMap,
    Is,
    Line,
    SetMark,
    Verdict,
    jump,
)
from tortie.dataplane.policy.desired import MANY_POLICIES, Run
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.limits import connections_chain, limits_of, rate_chain
from tortie.dataplane.policy.node import TunnelEnd
from tortie.dataplane.policy.settings import Action as Deny
from tortie.linux.netlink.nfnetlink import Hook
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    Policy,
    Profile,
    Rule,
    TierPolicies,
)

CT_MAP = SetName("cali-ct-state")
ACCEPT_CHAIN = ChainName("cali-accept")
TUNNELS_CHAIN = ChainName("cali-no-tunnels")


BY_STATE: Line = (ByMap((fields.STATE,), CT_MAP),)
CLOSED: Line = (COUNTER, DROP)


class Chain(NamedTuple):
    """A chain with its rules. `hook` makes it a base chain."""

    name: ChainName
    rules: tuple[Line, ...]
    hook: Hook | None = None


def rule_comments(chain: Chain) -> tuple[str, ...]:
    """What identifies the chain's rules in the kernel: a hash of each one's bytes."""
    return tuple(encoded(line).comment for line in chain.rules)


def constants_of(chain: Chain) -> dict[SetName, AnonymousSet]:
    """The sets of constants, by name, that must be there before the chain's rules."""
    found = (one for line in chain.rules for one in encoded(line).constants)
    return {one.name: one for one in found}


def policy_chains(policy: Policy, family: Family, settings: NftSettings) -> list[Chain]:
    """The two chains of a policy."""
    return [
        Chain(policy_chain(way, policy.id), rule_lines(rules, family, settings))
        for way, rules in ((Way.TO, policy.ingress), (Way.FROM, policy.egress))
    ]


def profile_chains(profile: Profile, family: Family, settings: NftSettings) -> list[Chain]:
    """The two chains of a profile."""
    return [
        Chain(profile_chain(way, profile.name), rule_lines(rules, family, settings))
        for way, rules in ((Way.TO, profile.ingress), (Way.FROM, profile.egress))
    ]


def rule_lines(rules: Sequence[Rule], family: Family, settings: NftSettings) -> tuple[Line, ...]:
    """Rules in order; none where one can't match in this family.

    Of neighbours with one action it is nothing which comes first, so that they may become one. But
    each Log rule writes a line of its own, and writes it once: its alternatives are disjoint.
    """
    lines: list[Line] = []
    for action, group in groupby(rules, key=lambda one: one.action):
        statement = _statements(family, settings)[action]
        if action is Action.LOG or not settings.coalesce:
            found = [match.line for rule in group for match in _alternatives(rule, family)]
        else:
            found = united(match for rule in group for match in _alternatives(rule, family))
        lines += [(*line, *statement) for line in found]
    return tuple(lines)


def _alternatives(rule: Rule, family: Family) -> tuple[Match, ...]:
    return matches(rule, family, disjoint=rule.action is Action.LOG)


@lru_cache(maxsize=8)
def denied(family: Family, settings: NftSettings) -> Line:
    """What becomes of a packet that policy denies."""
    return (COUNTER, reject(family) if settings.deny is Deny.REJECT else DROP)


@lru_cache(maxsize=8)
def _statements(family: Family, settings: NftSettings) -> dict[Action, Line]:
    marks, rate = settings.marks, settings.log_rate
    limit = () if rate is None else (Limit(rate.packets, rate.unit, rate.burst),)
    return {
        Action.ALLOW: (COUNTER, SetMark(add=marks.accept), RETURN),
        Action.PASS: (COUNTER, SetMark(add=marks.passed), RETURN),
        Action.DENY: denied(family, settings),
        Action.LOG: (*limit, COUNTER, Log(f"{settings.log_prefix}: ")),
    }


def endpoint_chains(endpoint: Endpoint, family: Family, settings: NftSettings) -> list[Chain]:
    """The two chains of a workload's interface. Raises UnsafeName for an impossible interface."""
    return [
        Chain(
            endpoint_chain(Way.FROM, endpoint.interface),
            (
                *_rate(endpoint, Way.FROM),
                BY_STATE,
                (jump(TUNNELS_CHAIN),),
                *_connections(endpoint, Way.FROM),
                *_walk(endpoint, Way.FROM, family, settings),
            ),
        ),
        Chain(
            endpoint_chain(Way.TO, endpoint.interface),
            (
                *_rate(endpoint, Way.TO),
                BY_STATE,
                *_connections(endpoint, Way.TO),
                *_walk(endpoint, Way.TO, family, settings),
            ),
        ),
    ]


def _rate(endpoint: Endpoint, way: Way) -> Iterator[Line]:
    """Every packet counts, also those of connections that are allowed already."""
    if limits_of(endpoint, way).packets is not None:
        yield (jump(rate_chain(way, endpoint.interface)),)


def _connections(endpoint: Endpoint, way: Way) -> Iterator[Line]:
    if limits_of(endpoint, way).connections is not None:
        yield (jump(connections_chain(way, endpoint.interface)),)


def _walk(endpoint: Endpoint, way: Way, family: Family, settings: NftSettings) -> Iterator[Line]:
    tiers = endpoint.ingress if way is Way.TO else endpoint.egress
    yield from tier_lines(tiers, way, family, settings, _many_at_once)
    yield from profile_lines(endpoint.profiles, way, settings)
    yield denied(family, settings)


def one_by_one(tier: TierPolicies, way: Way, settings: NftSettings) -> Iterator[Line]:
    """One rule a policy: it is asked while no earlier one of the tier has decided."""
    asked = (Bits(fields.MARK, settings.marks.decided),)
    for place, policy in enumerate(tier.policies):
        undecided = asked if place else ()
        yield (*undecided, jump(policy_chain(way, policy)))


def _many_at_once(tier: TierPolicies, way: Way, settings: NftSettings) -> Iterator[Line]:
    """Of many policies only those are asked that can concern the packet (`runs`)."""
    if settings.coalesce and len(tier.policies) >= MANY_POLICIES:
        yield (jump(run_chain(Run(way, tier.policies))),)
    else:
        yield from one_by_one(tier, way, settings)


Ask = Callable[[TierPolicies, Way, NftSettings], Iterator[Line]]


def tier_lines(
    tiers: tuple[TierPolicies, ...],
    way: Way,
    family: Family,
    settings: NftSettings,
    ask: Ask = one_by_one,
) -> Iterator[Line]:
    """The tiers in order, each with its default action; what they allow returns."""
    for place, tier in enumerate(tiers):
        if place:
            yield (clearing(settings.marks.passed),)
        yield from ask(tier, way, settings)
        yield (marked(settings.marks.accept), RETURN)
        if tier.default_action is DefaultAction.DENY:
            yield (Bits(fields.MARK, settings.marks.passed), *denied(family, settings))


def early_tier_lines(
    tiers: tuple[TierPolicies, ...], way: Way, settings: NftSettings, allowed: Verdict
) -> Iterator[Line]:
    """The tiers in order, without default actions; what they allow does as told."""
    for place, tier in enumerate(tiers):
        if place:
            yield (clearing(settings.marks.passed),)
        yield from one_by_one(tier, way, settings)
        yield (marked(settings.marks.accept), allowed)


def profile_lines(profiles: tuple[str, ...], way: Way, settings: NftSettings) -> Iterator[Line]:
    """The profiles in order. Pass only ends its profile: the pass bit is not asked here."""
    for name in profiles:
        yield (jump(profile_chain(way, name)),)
        yield (marked(settings.marks.accept), RETURN)


def clearing(bits: int) -> SetMark:
    """Clear bits of the mark."""
    return SetMark(keep=ALL_BITS ^ bits)


def marked(bit: int) -> Bits:
    """The mark has this bit."""
    return Bits(fields.MARK, bit, bit)


def ended(settings: NftSettings) -> Line:
    """A connection that policy allowed once and denies now (EndDeniedFlows)."""
    bit = settings.marks.ended
    return (Bits(fields.CONNECTION_MARK, bit, bit), *CLOSED)


def packets_of(end: TunnelEnd) -> Line:
    """A tunnel's packets as they arrive."""
    protocol = Is(fields.PROTOCOL, int(end.protocol))
    return (protocol,) if end.port is None else (protocol, Is(fields.DESTINATION_PORT, end.port))
