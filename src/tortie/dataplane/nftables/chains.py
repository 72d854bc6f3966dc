"""Policies, profiles and endpoints as chains of rule text. Pure.

A packet's mark carries what a policy said back to the endpoint's chain: accept or pass. Both bits
are clear when a packet enters an endpoint's chain, and a packet that comes back from it without
the accept bit is dropped by the dispatch chain, whatever went wrong in between.

The walk of an endpoint's chain is that of `tortie.policy.evaluate`: tiers in order, in each its
policies in order while none has decided, then the tier's default action, then the profiles.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from tortie.dataplane.nftables.matches import conditions
from tortie.dataplane.nftables.names import (
    ChainName,
    SetName,
    Way,
    endpoint_chain,
    policy_chain,
    profile_chain,
)
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.policy.families import Family
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


class Chain(NamedTuple):
    """A chain with its rules' text. `hook` makes it a base chain."""

    name: ChainName
    rules: tuple[str, ...]
    hook: Hook | None = None


def rule_comments(chain: Chain) -> tuple[str, ...]:
    """What identifies the chain's rules in the kernel: a hash of each text."""
    return tuple(map(comment_of, chain.rules))


def comment_of(rule: str) -> str:
    """cali:<hash of the text>; equal comments are taken for equal rules when adopting."""
    return "cali:" + urlsafe_b64encode(blake2b(rule.encode(), digest_size=12).digest()).decode()


def policy_chains(policy: Policy, family: Family, settings: NftSettings) -> list[Chain]:
    """The two chains of a policy."""
    return [
        _rules_chain(policy_chain(way, policy.id), rules, family, settings)
        for way, rules in ((Way.TO, policy.ingress), (Way.FROM, policy.egress))
    ]


def profile_chains(profile: Profile, family: Family, settings: NftSettings) -> list[Chain]:
    """The two chains of a profile."""
    return [
        _rules_chain(profile_chain(way, profile.name), rules, family, settings)
        for way, rules in ((Way.TO, profile.ingress), (Way.FROM, profile.egress))
    ]


def _rules_chain(
    name: ChainName, rules: Iterable[Rule], family: Family, settings: NftSettings
) -> Chain:
    return Chain(
        name, tuple(text for rule in rules for text in render_rule(rule, family, settings))
    )


def render_rule(rule: Rule, family: Family, settings: NftSettings) -> list[str]:
    """One rule as nft rules, none when it can't match in this family.

    A packet that two alternatives match must be logged once, so those of a Log rule are disjoint;
    for the other actions the first one ends the walk.
    """
    matches = conditions(rule, family, disjoint=rule.action is Action.LOG)
    if not matches:
        return []
    statement = _statements(settings)[rule.action]
    return [f"{match} {statement}" if match else statement for match in matches]


@lru_cache(maxsize=8)
def _statements(settings: NftSettings) -> dict[Action, str]:
    marks = settings.marks
    return {
        Action.ALLOW: f"counter {_setting(marks.accept)} return",
        Action.PASS: f"counter {_setting(marks.passed)} return",
        Action.DENY: "counter drop",
        Action.LOG: f'counter log prefix "{settings.log_prefix}: "',
    }


def endpoint_chains(endpoint: Endpoint, settings: NftSettings) -> list[Chain]:
    """The two chains of a workload's interface. Raises UnsafeName for an impossible interface."""
    return [
        Chain(
            endpoint_chain(Way.FROM, endpoint.interface),
            (
                f"ct state vmap @{CT_MAP}",
                f"jump {TUNNELS_CHAIN}",
                *_walk(endpoint.egress, endpoint.profiles, Way.FROM, settings),
            ),
        ),
        Chain(
            endpoint_chain(Way.TO, endpoint.interface),
            (
                f"ct state vmap @{CT_MAP}",
                *_walk(endpoint.ingress, endpoint.profiles, Way.TO, settings),
            ),
        ),
    ]


def closed_endpoint_chains(interface: str) -> list[Chain]:
    """The chains of an endpoint whose policy could not be programmed: nothing passes."""
    return [Chain(endpoint_chain(way, interface), ("counter drop",)) for way in (Way.FROM, Way.TO)]


def _walk(
    tiers: tuple[TierPolicies, ...], profiles: tuple[str, ...], way: Way, settings: NftSettings
) -> Iterator[str]:
    yield from tiers_text(tiers, way, settings)
    yield from profiles_text(profiles, way, settings)
    yield "counter drop"


def tiers_text(tiers: tuple[TierPolicies, ...], way: Way, settings: NftSettings) -> Iterator[str]:
    """The tiers in order, each with its default action; what they allow returns."""
    for place, tier in enumerate(tiers):
        yield from policies_text(tier, way, settings, is_first=place == 0, allowed="return")
        if tier.default_action is DefaultAction.DENY:
            yield f"meta mark & {settings.marks.passed:#x} == 0 counter drop"


def policies_text(
    tier: TierPolicies, way: Way, settings: NftSettings, *, is_first: bool, allowed: str
) -> Iterator[str]:
    """One rule a policy: it is asked while no earlier one of the tier has decided."""
    marks = settings.marks
    if not is_first:
        yield _clearing(marks.passed)
    for place, policy in enumerate(tier.policies):
        undecided = f"meta mark & {marks.decided:#x} == 0 " if place else ""
        yield f"{undecided}jump {policy_chain(way, policy)}"
    yield f"{_marked(marks.accept)} {allowed}"


def profiles_text(profiles: tuple[str, ...], way: Way, settings: NftSettings) -> Iterator[str]:
    """The profiles in order. Pass only ends its profile: the pass bit is not asked here."""
    for name in profiles:
        yield f"jump {profile_chain(way, name)}"
        yield f"{_marked(settings.marks.accept)} return"


def _setting(bit: int) -> str:
    return f"meta mark set meta mark | {bit:#x}"


def _clearing(bits: int) -> str:
    return f"meta mark set meta mark & {0xFFFFFFFF ^ bits:#x}"


def _marked(bit: int) -> str:
    return f"meta mark & {bit:#x} == {bit:#x}"
