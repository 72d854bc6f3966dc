"""A smaller program that still fails: whatever can go without the failure going, goes.

Hypothesis shrinks what it drew, which for a program of hundreds of draws takes minutes of packets;
this takes away parts of the program itself, the largest first, and sends one packet a try.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from tortie.policy import Program
from tortie.policy.program import Endpoint, HostEndpoint, PeerMatch, Policy, Profile, Rule, Tiers

K = TypeVar("K")
V = TypeVar("V")
S = TypeVar("S", bound=msgspec.Struct)
TRIES = 600
_STAGES = ("untracked", "pre_dnat", "forward", "normal")


def smallest(program: Program, fails: Callable[[Program], bool]) -> Program:
    """The program without whatever is not needed for `fails`, within a bound of tries."""
    left = TRIES
    shrunk = True
    while shrunk:
        shrunk = False
        for candidate in candidates(program):
            left -= 1
            if left < 0:
                return program
            if fails(candidate):
                program, shrunk = candidate, True
                break
    return program


def candidates(program: Program) -> Iterator[Program]:
    """Programs with one thing less, large things first; what nobody names any more is left out."""
    for one in _less(program):
        yield _pruned(one)


def _less(program: Program) -> Iterator[Program]:
    for hosts in _less_of(program.host_endpoints, _less_host):
        yield replace(program, host_endpoints=hosts)
    for endpoints in _less_of(program.endpoints, _less_endpoint):
        yield replace(program, endpoints=endpoints)
    for policies in _edited(program.policies, _less_lists):
        yield replace(program, policies=policies)
    for profiles in _edited(program.profiles, _less_lists):
        yield replace(program, profiles=profiles)
    for sets in _edited(program.sets, lambda one: (frozenset(t) for t in _fewer(tuple(one)))):
        yield replace(program, sets=sets)


def _pruned(program: Program) -> Program:
    ends = (*program.endpoints.values(), *program.host_endpoints.values())
    named = {name for end in ends for tier in _tiers(end) for name in tier.policies}
    profiles = {name for end in ends for name in end.profiles}
    return replace(
        program,
        policies={key: one for key, one in program.policies.items() if key in named},
        profiles={key: one for key, one in program.profiles.items() if key in profiles},
    )


def _tiers(end: Endpoint | HostEndpoint) -> Iterator[object]:
    ways = (
        [(end.ingress, end.egress)]
        if isinstance(end, Endpoint)
        else [getattr(end, stage) for stage in _STAGES]
    )
    return (tier for way in ways for tiers in way for tier in tiers)


def _less_of(values: Mapping[K, V], less: Callable[[V], Iterator[V]]) -> Iterator[dict[K, V]]:
    """Without one, then with less of one."""
    for gone in values:
        yield {key: one for key, one in values.items() if key != gone}
    yield from _edited(values, less)


def _edited(values: Mapping[K, V], less: Callable[[V], Iterator[V]]) -> Iterator[dict[K, V]]:
    for key, one in values.items():
        for smaller in less(one):
            yield {**values, key: smaller}


def _fewer(items: tuple[V, ...]) -> Iterator[tuple[V, ...]]:
    """None of them, halves, all but one."""
    if not items:
        return
    yield ()
    half = len(items) // 2
    if half:
        yield items[:half]
        yield items[half:]
    if len(items) > 2:
        for place in range(len(items)):
            yield items[:place] + items[place + 1 :]


def _less_endpoint(end: Endpoint) -> Iterator[Endpoint]:
    for field in ("ingress", "egress", "profiles", "allowed_sources"):
        yield from _with_fewer(end, field)
    for field in ("ingress", "egress"):
        yield from _with_smaller_tiers(end, field)


def _less_host(host: HostEndpoint) -> Iterator[HostEndpoint]:
    yield from _with_fewer(host, "profiles")
    for stage in _STAGES:
        tiers = getattr(host, stage)
        if tiers != Tiers():
            yield replace(host, **{stage: Tiers()})
        for way in ("ingress", "egress"):
            for fewer in _fewer(getattr(tiers, way)):
                yield replace(host, **{stage: tiers._replace(**{way: fewer})})


def _with_smaller_tiers(end: Endpoint, field: str) -> Iterator[Endpoint]:
    listed = getattr(end, field)
    for place, tier in enumerate(listed):
        for smaller in _with_fewer(tier, "policies"):
            if smaller.policies:
                yield replace(end, **{field: (*listed[:place], smaller, *listed[place + 1 :])})


def _less_lists(one: Policy | Profile) -> Iterator[Policy | Profile]:
    for way in ("ingress", "egress"):
        yield from _with_fewer(one, way)
        rules = getattr(one, way)
        for place, rule in enumerate(rules):
            for smaller in _less_rule(rule):
                yield replace(one, **{way: (*rules[:place], smaller, *rules[place + 1 :])})


def _less_rule(rule: Rule) -> Iterator[Rule]:
    for field in ("ip_version", "protocol", "not_protocol", "icmp", "not_icmp", "http"):
        if getattr(rule, field) is not None:
            yield replace(rule, **{field: None})
    for way in ("source", "destination"):
        peer: PeerMatch = getattr(rule, way)
        for field in PeerMatch.__struct_fields__:
            for smaller in _with_fewer(peer, field):
                yield replace(rule, **{way: smaller})


def _with_fewer(value: S, field: str) -> Iterator[S]:
    for fewer in _fewer(getattr(value, field)):
        yield replace(value, **{field: fewer})
