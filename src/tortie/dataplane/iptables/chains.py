"""Policies, profiles and endpoints as chains of iptables rules. Pure.

A packet's mark carries what a policy said back to the endpoint's chain: accept or pass. A rule that
decides goes to `cali-accept` or `cali-pass`, whose end returns to the chain that asked the policy:
one rule where a mark and a return would be two. Both bits are clear when a packet enters an
endpoint's chain, and what comes back from it without the accept bit is dropped by the dispatch
chain, whatever went wrong in between.

Two more bits serve rules that one line can't say: "all parts so far hold" and "this part holds".
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from tortie.dataplane.iptables.matches import Parts, parts_of
from tortie.dataplane.iptables.names import (
    ChainName,
    Way,
    endpoint_chain,
    policy_chain,
    profile_chain,
)
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.limits import connections_chain, limits_of, rate_chain
from tortie.dataplane.policy.nets import disjoint_nets, net_text
from tortie.dataplane.policy.settings import Action as Deny
from tortie.net import Prefix
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    Policy,
    Profile,
    Rule,
    TierPolicies,
)

FILTER, RAW, MANGLE, NAT = "filter", "raw", "mangle", "nat"
ACCEPT_CHAIN, PASS_CHAIN = ChainName("cali-accept"), ChainName("cali-pass")
TUNNELS_CHAIN = ChainName("cali-no-tunnels")
UNTRACKED_CHAIN, EARLY_CHAIN = ChainName("cali-untracked"), ChainName("cali-early")
ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"


class Chain(NamedTuple):
    """A chain of a table with its rules' text: what follows "-A name"."""

    name: ChainName
    rules: tuple[str, ...]
    table: str = FILTER


def rule_comments(chain: Chain) -> tuple[str, ...]:
    """What identifies the chain's rules in the kernel: a hash of each text."""
    return tuple(map(comment_of, chain.rules))


def comment_of(rule: str) -> str:
    """cali:<hash of the text>; equal comments are taken for equal rules when adopting."""
    return "cali:" + urlsafe_b64encode(blake2b(rule.encode(), digest_size=12).digest()).decode()


def policy_chains(policy: Policy, family: Family, settings: IptablesSettings) -> list[Chain]:
    """The two chains of a policy. Raises Unrenderable."""
    return [
        _rules_chain(policy_chain(way, policy.id), rules, family, settings)
        for way, rules in ((Way.TO, policy.ingress), (Way.FROM, policy.egress))
    ]


def profile_chains(profile: Profile, family: Family, settings: IptablesSettings) -> list[Chain]:
    """The two chains of a profile. Raises Unrenderable."""
    return [
        _rules_chain(profile_chain(way, profile.name), rules, family, settings)
        for way, rules in ((Way.TO, profile.ingress), (Way.FROM, profile.egress))
    ]


def _rules_chain(
    name: ChainName, rules: Iterable[Rule], family: Family, settings: IptablesSettings
) -> Chain:
    return Chain(
        name, tuple(text for rule in rules for text in render_rule(rule, family, settings))
    )


def render_rule(rule: Rule, family: Family, settings: IptablesSettings) -> list[str]:
    """One rule as lines, none when it can't match in this family.

    A single choice becomes a line for each alternative. With several choices, with exclusions, and
    for Log (two lines would log a packet twice) the lines work on the scratch bits.
    """
    parts = parts_of(rule, family)
    if parts is None:
        return []
    target, line = _targets(settings)[rule.action], " ".join(parts.inline)
    if not parts.choices and not parts.excluded:
        return [_joined(line, target)]
    if len(parts.choices) == 1 and not parts.excluded and rule.action is not Action.LOG:
        return [_joined(line, one, target) for one in parts.choices[0]]
    return [*_block(parts, settings), _joined(line, marked(settings.scratch.so_far), target)]


def _block(parts: Parts, settings: IptablesSettings) -> Iterator[str]:
    """Lines after which the first scratch bit says whether choices and exclusions hold."""
    so_far, part = settings.scratch
    yield f"-j MARK --set-xmark {so_far:#x}/{so_far | part:#x}"
    yield from (f"{parts.alone(one)} {clearing(so_far)}" for one in parts.excluded)
    for place, choice in enumerate(parts.choices):
        if place:
            yield clearing(part)
        yield from (f"{parts.alone(one)} {_setting(part)}" for one in choice)
        yield f"{_unmarked(part)} {clearing(so_far)}"


@lru_cache(maxsize=8)
def _targets(settings: IptablesSettings) -> dict[Action, str]:
    return {
        Action.ALLOW: f"-g {ACCEPT_CHAIN}",
        Action.PASS: f"-g {PASS_CHAIN}",
        Action.DENY: denied(settings),
        Action.LOG: _log(settings),
    }


def _log(settings: IptablesSettings) -> str:
    rate, log = settings.log_rate, f'-j LOG --log-prefix "{settings.logged_as}" --log-level 5'
    if rate is None:
        return log
    most = f"{int(rate.packets)}/{rate.unit} --limit-burst {int(rate.burst)}"
    return f"-m limit --limit {most} {log}"


def denied(settings: IptablesSettings) -> str:
    """What becomes of a packet that policy denies. REJECT is for the filter table alone."""
    return "-j REJECT" if settings.deny is Deny.REJECT else "-j DROP"


def marking_chains(settings: IptablesSettings) -> Iterator[Chain]:
    """The chains that a deciding rule goes to, in each table where policies are asked."""
    marks = settings.marks
    early = (
        f"-j MARK --set-xmark {settings.marks.early:#x}/{settings.marks.early | marks.decided:#x}"
    )
    for table in (FILTER, RAW, MANGLE):
        yield Chain(ACCEPT_CHAIN, (_setting(marks.accept),), table)
        yield Chain(PASS_CHAIN, (_setting(marks.passed),), table)
    yield Chain(UNTRACKED_CHAIN, ("-j CT --notrack", early), RAW)
    yield Chain(EARLY_CHAIN, (early,), MANGLE)


def endpoint_chains(endpoint: Endpoint, family: Family, settings: IptablesSettings) -> list[Chain]:
    """The two chains of a workload's interface. Raises UnsafeName for an impossible interface."""
    states = [f"{ESTABLISHED} -g {ACCEPT_CHAIN}"]
    if settings.drop_invalid:
        states.append("-m conntrack --ctstate INVALID -j DROP")
    return [
        Chain(
            endpoint_chain(Way.FROM, endpoint.interface),
            (
                *_own_sources(endpoint, family, settings),
                *_rate(endpoint, Way.FROM),
                *states,
                f"-j {TUNNELS_CHAIN}",
                *_connections(endpoint, Way.FROM),
                *_walk(endpoint.egress, endpoint.profiles, Way.FROM, settings),
            ),
        ),
        Chain(
            endpoint_chain(Way.TO, endpoint.interface),
            (
                *_rate(endpoint, Way.TO),
                *states,
                *_connections(endpoint, Way.TO),
                *_walk(endpoint.ingress, endpoint.profiles, Way.TO, settings),
            ),
        ),
    ]


def _rate(endpoint: Endpoint, way: Way) -> Iterator[str]:
    """Every packet counts, also those of connections that are allowed already."""
    if limits_of(endpoint, way).packets is not None:
        yield f"-j {rate_chain(way, endpoint.interface)}"


def _connections(endpoint: Endpoint, way: Way) -> Iterator[str]:
    if limits_of(endpoint, way).connections is not None:
        yield f"-j {connections_chain(way, endpoint.interface)}"


def _own_sources(endpoint: Endpoint, family: Family, settings: IptablesSettings) -> Iterator[str]:
    """Drop what comes from an address that is neither its own nor allowed."""
    own = [Prefix.single(one.version, one.address) for one in endpoint.addresses]
    nets = disjoint_nets((*own, *endpoint.allowed_sources), family)
    if not nets:
        yield "-j DROP"
    elif len(nets) == 1 and nets[0].length:
        yield f"! -s {net_text(nets[0])} -j DROP"
    elif nets[0].length:
        part = settings.scratch.part
        yield clearing(part)
        yield from (f"-s {net_text(net)} {_setting(part)}" for net in nets)
        yield f"{_unmarked(part)} -j DROP"


def _walk(
    tiers: tuple[TierPolicies, ...],
    profiles: tuple[str, ...],
    way: Way,
    settings: IptablesSettings,
) -> Iterator[str]:
    yield from tiers_text(tiers, way, settings)
    yield from profiles_text(profiles, way, settings)
    yield denied(settings)


def tiers_text(
    tiers: tuple[TierPolicies, ...], way: Way, settings: IptablesSettings
) -> Iterator[str]:
    """The tiers in order, each with its default action; what they allow returns."""
    for place, tier in enumerate(tiers):
        yield from policies_text(tier, way, settings, is_first=place == 0, allowed="-j RETURN")
        if tier.default_action is DefaultAction.DENY:
            yield f"{_unmarked(settings.marks.passed)} {denied(settings)}"


def policies_text(
    tier: TierPolicies, way: Way, settings: IptablesSettings, *, is_first: bool, allowed: str
) -> Iterator[str]:
    """One rule a policy: it is asked while no earlier one of the tier has decided."""
    marks = settings.marks
    if not is_first:
        yield clearing(marks.passed)
    for place, policy in enumerate(tier.policies):
        undecided = _unmarked(marks.decided) if place else ""
        yield _joined(undecided, f"-j {policy_chain(way, policy)}")
    yield f"{marked(marks.accept)} {allowed}"


def profiles_text(profiles: tuple[str, ...], way: Way, settings: IptablesSettings) -> Iterator[str]:
    """The profiles in order. Pass only ends its profile: the pass bit is not asked here."""
    for name in profiles:
        yield f"-j {profile_chain(way, name)}"
        yield f"{marked(settings.marks.accept)} -j RETURN"


def _joined(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _setting(bit: int) -> str:
    return f"-j MARK --set-xmark {bit:#x}/{bit:#x}"


def clearing(bits: int) -> str:
    return f"-j MARK --set-xmark 0x0/{bits:#x}"


def marked(bit: int) -> str:
    return f"-m mark --mark {bit:#x}/{bit:#x}"


def _unmarked(bits: int) -> str:
    return f"-m mark --mark 0x0/{bits:#x}"
