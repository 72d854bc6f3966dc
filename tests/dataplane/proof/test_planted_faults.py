"""The test of the test: a renderer that misreads programs is found, and its case shrinks and tells.

What stands between a program and the driver misreads one thing; the evaluator judges the program as
it is. A fault that nobody finds here is one that the differential test would not find either.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from msgspec.structs import replace

from dataplane.hostlab import HostLab
from dataplane.proof.firewalls import Firewall
from dataplane.proof.world import Change, World, prepared
from tortie.policy import Program
from tortie.policy.program import Action, DefaultAction, PeerMatch, Rule, TierPolicies, Tiers

pytestmark = pytest.mark.root

ATTEMPTS = 60  # programs, as many as the differential test tries of these
PACKETS = 260


# ---- ways to misread a program


def _rules(change: Callable[[Rule], Rule], program: Program) -> Program:
    def read(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return tuple(map(change, rules))

    return replace(
        program,
        policies={
            name: replace(one, ingress=read(one.ingress), egress=read(one.egress))
            for name, one in program.policies.items()
        },
        profiles={
            name: replace(one, ingress=read(one.ingress), egress=read(one.egress))
            for name, one in program.profiles.items()
        },
    )


def _without(field: str) -> Change:
    """A condition of both ends is forgotten."""
    plain = getattr(PeerMatch(), field)

    def forget(rule: Rule) -> Rule:
        source = replace(rule.source, **{field: plain})
        return replace(rule, source=source, destination=replace(rule.destination, **{field: plain}))

    return partial(_rules, forget)


def _header(**changed: object) -> Change:
    """A condition of the header is forgotten."""
    return partial(_rules, lambda rule: replace(rule, **changed))


def _any_code(rule: Rule) -> Rule:
    return rule if rule.icmp is None else replace(rule, icmp=replace(rule.icmp, code=None))


def _fifteen_ports(rule: Rule) -> Rule:
    source, destination = (
        replace(one, ports=one.ports[:15], not_ports=one.not_ports[:15])
        for one in (rule.source, rule.destination)
    )
    return replace(rule, source=source, destination=destination)


def _action(taken: Action, done: Action) -> Change:
    return partial(
        _rules, lambda rule: replace(rule, action=done) if rule.action is taken else rule
    )


def _every_tier(change: Callable[[TierPolicies], TierPolicies], program: Program) -> Program:
    return replace(
        program,
        endpoints={
            name: replace(
                one,
                ingress=tuple(map(change, one.ingress)),
                egress=tuple(map(change, one.egress)),
            )
            for name, one in program.endpoints.items()
        },
    )


def _backwards(tier: TierPolicies) -> TierPolicies:
    return replace(tier, policies=tier.policies[::-1])


def _that_passes(tier: TierPolicies) -> TierPolicies:
    return replace(tier, default_action=DefaultAction.PASS)


def _stage(name: str) -> Change:
    """A stage of host endpoints is forgotten."""

    def read(program: Program) -> Program:
        hosts = program.host_endpoints.items()
        less = {key: replace(one, **{name: Tiers()}) for key, one in hosts}
        return replace(program, host_endpoints=less)

    return read


def _first_profile_only(program: Program) -> Program:
    ends = program.endpoints.items()
    return replace(
        program, endpoints={name: replace(one, profiles=one.profiles[:1]) for name, one in ends}
    )


FAULTS: dict[str, Change] = {
    **{
        f"forgets {field}": _without(field)
        for field in ("nets", "not_nets", "sets", "not_sets", "ports", "not_ports")
    },
    **{f"forgets {field}": _without(field) for field in ("port_sets", "not_port_sets", "services")},
    "forgets the protocol": _header(protocol=None),
    "forgets the excluded protocol": _header(not_protocol=None),
    "forgets the ICMP type": _header(icmp=None),
    "forgets the excluded ICMP type": _header(not_icmp=None),
    "forgets the IP version": _header(ip_version=None),
    "forgets the ICMP code": partial(_rules, _any_code),
    "keeps fifteen ports": partial(_rules, _fifteen_ports),
    "takes Pass for Allow": _action(Action.PASS, Action.ALLOW),
    "takes Pass for Deny": _action(Action.PASS, Action.DENY),
    "takes Log for Allow": _action(Action.LOG, Action.ALLOW),
    "asks a tier's policies backwards": partial(_every_tier, _backwards),
    "lets a tier's end pass": partial(_every_tier, _that_passes),
    "asks the first profile only": _first_profile_only,
    **{
        f"forgets {stage} policy": _stage(stage)
        for stage in ("untracked", "pre_dnat", "forward", "normal")
    },
}


@pytest.fixture(scope="module")
def lab() -> Iterator[HostLab]:
    with HostLab() as made:
        yield prepared(made)


def find(world: World) -> str:
    """What the differential test says of the first program that fares otherwise; "" for none."""
    try:
        for number in range(ATTEMPTS):
            world.agree(number, PACKETS)
    except AssertionError as told:
        return str(told)
    finally:
        world.close()
    return ""


def _as_it_is(program: Program, _: object) -> Program:
    return program


@pytest.mark.parametrize("fault", FAULTS)
def test_a_renderer_that_misreads_one_thing_is_found(lab: HostLab, fault: str) -> None:
    world = World(lab, Firewall.NFTABLES, rendered_as=FAULTS[fault], shrunk_by=_as_it_is)
    assert "a packet fared otherwise than the evaluator says" in find(world)


@pytest.mark.parametrize("firewall", Firewall)
def test_a_case_shrinks_and_tells_program_packet_rules_and_reason(
    lab: HostLab, firewall: Firewall
) -> None:
    text = find(World(lab, firewall, rendered_as=FAULTS["forgets not_nets"]))
    rules, _, told = text.partition("In force:\n")[2].partition("The program:\n")
    assert "cali-" in rules
    program, _, reason = told.partition("\n\nThe packet ")
    assert "not_nets=" in program
    assert len(program.splitlines()) < 12, program
    assert reason.startswith(("passed, but:", "was dropped, but:"))
    assert " -> " in reason
    assert "of seed " in reason
