"""What holds for any history of any cluster."""

import random
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.clusters import final, histories
from tortie.engine import Delta, Engine, NodeState
from tortie.engine.delta import ALL_HOSTS, ALL_POOLS, MASQ_POOLS, Encapsulation, ServiceCidrs
from tortie.policy.program import TierPolicies

TABLES = (
    *("sets", "policies", "profiles", "endpoints", "host_endpoints", "routes"),
    *("vteps", "vteps_v6", "hosts", "pools"),
)
FIXED_SETS = {MASQ_POOLS, ALL_POOLS, ALL_HOSTS}


def run(batches, node="n1") -> tuple[Engine, NodeState]:
    engine, state = Engine(node), NodeState()
    for batch in batches:
        state.fold(engine.apply(batch))
    return engine, state


def references(state: NodeState) -> set[str]:
    """The ids of all sets that rules name."""
    owners = (*state.policies.values(), *state.profiles.values())
    return {n for o in owners for rule in o.ingress + o.egress for n in rule.set_ids}


def asked(state: NodeState) -> Iterator[tuple[TierPolicies, ...]]:
    """Every list of tiers that any endpoint has."""
    for endpoint in state.endpoints.values():
        yield from (endpoint.ingress, endpoint.egress)
    for host in state.host_endpoints.values():
        for stage in (host.untracked, host.pre_dnat, host.forward, host.normal):
            yield from stage


@given(histories(), st.randoms())
@settings(deadline=None)
def test_equal_final_inputs_give_equal_state_whatever_the_order_and_batching(history, chance):
    _, incremental = run(history)
    left = list(final(history).items())
    _, at_once = run([left])
    chance.shuffle(left)
    _, one_by_one = run([[item] for item in left] or [[]])
    assert incremental.whole() == at_once.whole() == one_by_one.whole()


@given(histories())
@settings(deadline=None)
def test_after_every_batch_the_state_is_what_a_new_engine_would_say(history):
    engine, state = Engine("n1"), NodeState()
    for count, batch in enumerate(history, 1):
        state.fold(engine.apply(batch))
        assert state.whole() == run([list(final(history[:count]).items())])[1].whole()


@given(histories())
@settings(deadline=None)
def test_deltas_say_only_what_is_new(history):
    engine, state = Engine("n1"), NodeState()
    for batch in history:
        before = state.whole()
        delta = engine.apply(batch)
        state.fold(delta)
        assert_minimal(before, delta)


def assert_minimal(before: Delta, delta: Delta) -> None:
    for name in TABLES:
        old, new = getattr(before, name), getattr(delta, name)
        assert all(old.get(key) != value for key, value in new.items())
        assert getattr(delta, f"{name}_removed") <= old.keys()
        assert not getattr(delta, f"{name}_removed") & new.keys()
    for name, change in delta.members.items():
        members = before.sets[name].members
        assert change.added or change.removed
        assert not change.added & members
        assert change.removed <= members
        assert name not in delta.sets_removed
        assert name not in delta.sets
    for name in ("local_vtep", "local_vtep_v6"):
        if getattr(delta, name) is not None:
            assert getattr(delta, name) != (getattr(before, name) or (None,))
    nothing = {"encapsulation": Encapsulation(), "service_cidrs": ServiceCidrs()}
    for name, start in nothing.items():
        if getattr(delta, name) is not None:
            assert getattr(delta, name) != (getattr(before, name) or start)


@given(histories())
@settings(deadline=None)
def test_at_every_moment_all_that_is_named_exists_and_no_set_is_idle(history):
    engine, state = Engine("n1"), NodeState()
    for batch in history:
        state.fold(engine.apply(batch))
        assert references(state) | FIXED_SETS == state.sets.keys()
        named = {policy for tiers in asked(state) for tier in tiers for policy in tier.policies}
        assert named == state.policies.keys()
        locals_ = (*state.endpoints.values(), *state.host_endpoints.values())
        wanted = {name for endpoint in locals_ for name in endpoint.profiles}
        assert wanted == state.profiles.keys()


@given(histories())
@settings(deadline=None)
def test_nothing_is_left_once_all_inputs_are_deleted(history):
    engine, state = run(history)
    state.fold(engine.apply([(key, None) for key in final(history)]))
    engine.warnings()
    empty = run([[]])[1]
    assert state.whole() == empty.whole()
    assert held(engine) == held(run([[]])[0])


def held(engine: Engine) -> int:
    """How many things all containers of an engine hold, its code and caches apart."""
    seen: set[int] = set()

    def count(value: object) -> int:
        if id(value) in seen:
            return 0
        seen.add(id(value))
        if isinstance(value, dict):
            return len(value) + sum(map(count, value.values()))
        if isinstance(value, (set, frozenset)):
            return len(value)
        if type(value).__module__.startswith("tortie.engine") and not isinstance(value, tuple):
            names = getattr(value, "__slots__", None) or vars(value)
            return sum(count(getattr(value, name)) for name in names)
        return 0

    return count({k: v for k, v in vars(engine).items() if k != "_handlers"})


@given(histories(), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_batch_that_is_said_again_changes_nothing(history, seed):
    engine, _ = run(history)
    left = list(final(history).items())
    random.Random(seed).shuffle(left)
    assert not engine.apply(left)


@given(histories())
@settings(deadline=None)
def test_applied_step_by_step_in_the_safe_order_nothing_ever_names_what_is_not_there(history):
    engine, state = Engine("n1"), NodeState()
    for batch in history:
        delta = engine.apply(batch)
        for step in safe_order(delta):
            state.fold(step)
            assert references(state) <= state.sets.keys()
            asked_for = {name for tiers in asked(state) for tier in tiers for name in tier.policies}
            assert asked_for <= state.policies.keys()
            locals_ = (*state.endpoints.values(), *state.host_endpoints.values())
            assert {name for each in locals_ for name in each.profiles} <= state.profiles.keys()


def safe_order(delta: Delta) -> list[Delta]:
    """The steps in which a delta may be applied where that can't be one transaction."""
    fields = (
        *("sets", "members", "profiles", "policies", "endpoints", "host_endpoints"),
        *("endpoints_removed", "host_endpoints_removed", "policies_removed", "profiles_removed"),
        "sets_removed",
    )
    return [Delta(**{name: getattr(delta, name)}) for name in fields]
