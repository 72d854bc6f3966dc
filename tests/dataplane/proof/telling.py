"""A policy program in few lines: only what its endpoints name, only what is not usual."""

from collections.abc import Iterator

import msgspec

from tortie.net import PortRange, Prefix, protocol_name
from tortie.policy import Program
from tortie.policy.program import (
    Endpoint,
    HostEndpoint,
    IPPort,
    PolicyId,
    Rule,
    TierPolicies,
    Tiers,
)


def told(program: Program) -> str:
    """The whole program."""
    return "\n".join(_lines(program))


def _lines(program: Program) -> Iterator[str]:
    for endpoint in program.endpoints.values():
        yield f"workload {endpoint.id} on {endpoint.interface}: {_words(endpoint.addresses)}"
        if endpoint.allowed_sources:
            yield f"  may send from {_words(endpoint.allowed_sources)}"
        yield from _stage("", Tiers(endpoint.ingress, endpoint.egress))
        yield f"  profiles {_words(endpoint.profiles)}"
    for host in program.host_endpoints.values():
        yield f"host endpoint {host.id} of {host.interface or _words(host.addresses)}"
        for stage in ("untracked", "pre_dnat", "forward", "normal"):
            yield from _stage(f"{stage} ", getattr(host, stage))
        yield f"  profiles {_words(host.profiles)}"
    yield from _rules(program)
    used = {name for rule in _used_rules(program) for name in rule.set_ids}
    for name in sorted(used):
        yield f"set {name}: {_words(tuple(sorted(program.sets.get(name, ()), key=repr)))}"


def _stage(title: str, tiers: Tiers) -> Iterator[str]:
    for way, listed in (("ingress", tiers.ingress), ("egress", tiers.egress)):
        for tier in listed:
            yield f"  {title}{way} tier {tier.tier} ({tier.default_action}): " + ", ".join(
                map(str, tier.policies)
            )


def _rules(program: Program) -> Iterator[str]:
    policies, profiles = _named(program)
    both = [(f"policy {n}", program.policies.get(n)) for n in policies]
    both += [(f"profile {n}", program.profiles.get(n)) for n in profiles]
    for title, one in both:
        if one is None:
            yield f"{title} IS MISSING"
            continue
        for way, listed in (("ingress", one.ingress), ("egress", one.egress)):
            for number, rule in enumerate(listed):
                yield f"{title} {way} {number}: {_rule(rule)}"


def _named(program: Program) -> tuple[list[PolicyId], list[str]]:
    """The policies and profiles that endpoints name, each once."""
    ends = (*program.endpoints.values(), *program.host_endpoints.values())
    policies = {name: None for end in ends for tier in _tiers(end) for name in tier.policies}
    return list(policies), list({name: None for end in ends for name in end.profiles})


def _tiers(end: Endpoint | HostEndpoint) -> tuple[TierPolicies, ...]:
    if isinstance(end, Endpoint):
        return (*end.ingress, *end.egress)
    stages = (end.untracked, end.pre_dnat, end.forward, end.normal)
    return tuple(tier for stage in stages for way in stage for tier in way)


def _used_rules(program: Program) -> Iterator[Rule]:
    policies, profiles = _named(program)
    for one in (
        *(program.policies[name] for name in policies if name in program.policies),
        *(program.profiles[name] for name in profiles if name in program.profiles),
    ):
        yield from (*one.ingress, *one.egress)


def _rule(rule: Rule) -> str:
    return f"{rule.action} " + " ".join(_given(rule, ("action", "annotations")))


def _given(value: msgspec.Struct, without: tuple[str, ...] = ()) -> Iterator[str]:
    """The fields that are not as they are by themselves."""
    for field in msgspec.structs.fields(value):
        found = getattr(value, field.name)
        if field.name not in without and found != field.default:
            text = protocol_name(found) if field.name.endswith("protocol") else _words(found)
            yield f"{field.name}={text}"


def _words(value: object) -> str:
    if isinstance(value, IPPort):
        host = str(Prefix.single(value.version, value.address)).partition("/")[0]
        return f"{protocol_name(value.protocol)} {host} {value.port}"
    if isinstance(value, Prefix | PortRange | str | int) or value is None:
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_words, value))}]"
    if isinstance(value, msgspec.Struct):
        return f"({' '.join(_given(value))})"
    return repr(value)
