"""Properties of the evaluator that hold for any program."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.programs import POLICIES, packets_for, programs, rules
from tortie.policy import Outcome, Packet, Program, Stage, evaluate
from tortie.policy.explain import WIDTH, explain
from tortie.policy.matching import why_not
from tortie.policy.program import Action, Policy, Rule
from tortie.policy.unexplained import unexplained


@st.composite
def cases(draw: st.DrawFn) -> tuple[Program, Packet]:
    program = draw(programs())
    return program, draw(packets_for(program))


@given(cases())
@settings(max_examples=50, deadline=None)
def test_every_side_ends_with_one_decision(case):
    verdict = evaluate(*case)
    sides = [verdict.packet.source_endpoint, verdict.packet.destination_endpoint]
    decided = [step for step in verdict.steps if step.outcome is not Outcome.NEXT]
    assert len(decided) == sum(side is not None for side in sides)
    assert verdict.allowed == all(step.outcome is Outcome.ALLOW for step in decided)


@given(cases(), rules())
@settings(max_examples=50, deadline=None)
def test_rules_after_a_match_change_nothing(case, extra):
    program, packet = case
    before = evaluate(program, packet)
    for step in before.steps:
        if step.stage is not Stage.TIER or step.matched is None:
            continue
        owner = program.policies[step.matched.owner]
        changed = {
            step.direction: (*getattr(owner, step.direction)[: step.matched.position + 1], extra)
        }
        policies = {**program.policies, owner.id: msgspec.structs.replace(owner, **changed)}
        after = evaluate(msgspec.structs.replace(program, policies=policies), packet)
        assert step in after.steps


@given(cases())
@settings(max_examples=50, deadline=None)
def test_a_later_policy_never_changes_what_an_earlier_tier_decided(case):
    program, packet = case
    before = evaluate(program, packet)
    open_door = (Rule(Action.ALLOW),)
    endpoints, policies = {}, dict(program.policies)
    for name, endpoint in program.endpoints.items():
        last = POLICIES[0]
        policies[last] = Policy(last, "default", open_door, open_door)
        changed = {
            side: tuple(
                tier
                if tier.tier == "first"
                else msgspec.structs.replace(tier, policies=(*tier.policies, last))
                for tier in getattr(endpoint, side)
            )
            for side in ("ingress", "egress")
        }
        endpoints[name] = msgspec.structs.replace(endpoint, **changed)
    named = [
        p for e in program.endpoints.values() for t in e.ingress + e.egress for p in t.policies
    ]
    if POLICIES[0] in named:
        return
    after = evaluate(Program(endpoints, policies, program.profiles, program.sets), packet)
    for step in before.steps:
        if step.name == "first" or step.matched is not None:
            assert step in after.steps


@given(cases())
@settings(max_examples=50, deadline=None)
def test_deny_first_in_every_list_denies_everything(case):
    program, packet = case
    shut = (Rule(Action.DENY),)
    closed = msgspec.structs.replace(
        program,
        policies={name: Policy(name, p.tier, shut, shut) for name, p in program.policies.items()},
        profiles={
            name: msgspec.structs.replace(p, ingress=shut, egress=shut)
            for name, p in program.profiles.items()
        },
    )
    assert not evaluate(closed, packet).allowed


@given(cases())
@settings(max_examples=50, deadline=None)
def test_log_rules_never_change_a_verdict(case):
    program, packet = case
    log = Rule(Action.LOG)

    def noisy(rules):
        return tuple(rule for each in rules for rule in (log, each))

    policies = {
        name: msgspec.structs.replace(p, ingress=noisy(p.ingress), egress=noisy(p.egress))
        for name, p in program.policies.items()
    }
    loud = msgspec.structs.replace(program, policies=policies)
    assert evaluate(loud, packet).allowed == evaluate(program, packet).allowed


@given(cases())
@settings(max_examples=50, deadline=None)
def test_explanations_name_every_stage_in_80_columns(case):
    verdict = evaluate(*case)
    text = explain(verdict)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert ("allowed" if verdict.allowed else "denied") in " ".join(text.split("\n\n")[0].split())
    flat = " ".join(text.split())
    for step in verdict.steps:
        assert f"{step.direction} of {step.endpoint}" in flat
        assert step.matched is None or str(step.matched) in flat


@given(cases())
def test_a_match_without_its_reason_is_the_same_match(case: tuple[Program, Packet]) -> None:
    program, packet = case
    known = [*program.policies.values(), *program.profiles.values()]
    for rule in (one for owner in known for one in (*owner.ingress, *owner.egress)):
        told = why_not(rule, packet, program)
        assert (unexplained(rule, packet, program) is None) is (told is None)
    assert evaluate(program, packet, unexplained).allowed is evaluate(program, packet).allowed
