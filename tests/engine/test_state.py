"""Deltas add up, and a ledger tells only what differs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tortie.engine import Delta, NodeState
from tortie.engine.delta import MemberChange, Route, RouteKind, SetContents, Vtep
from tortie.engine.ledger import Ledger
from tortie.net import parse_network
from tortie.policy.program import SetKind

A, B, C = (parse_network(f"10.0.0.{n}") for n in range(3))
VTEP = Vtep("n2", A, B, "66:00:00:00:00:01")


def test_members_are_folded_into_their_set():
    state = NodeState()
    state.fold(Delta(sets={"s": SetContents(SetKind.NET, frozenset({A, B}))}))
    state.fold(Delta(members={"s": MemberChange(frozenset({C}), frozenset({A}))}))
    assert state.whole().sets == {"s": SetContents(SetKind.NET, frozenset({B, C}))}
    assert state.program().sets == {"s": {B, C}}


def test_members_of_a_set_that_is_not_there_are_an_error():
    with pytest.raises(KeyError):
        NodeState().fold(Delta(members={"s": MemberChange(frozenset({A}))}))


def test_removals_leave_nothing():
    state = NodeState()
    route = Route(A, RouteKind.BLACKHOLE)
    state.fold(
        Delta(
            sets={"s": SetContents(SetKind.NET, frozenset())},
            routes={A: route},
            vteps={"n2": VTEP},
            local_vtep=(VTEP,),
        )
    )
    state.fold(
        Delta(
            sets_removed=frozenset({"s"}),
            routes_removed=frozenset({A}),
            vteps_removed=frozenset({"n2"}),
            local_vtep=(None,),
        )
    )
    assert state.whole() == Delta()


def test_the_whole_state_folds_into_itself():
    state, again = NodeState(), NodeState()
    state.fold(Delta(sets={"s": SetContents(SetKind.NET, frozenset({A}))}, local_vtep=(VTEP,)))
    again.fold(state.whole())
    assert again.whole() == state.whole()


changes = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 2)), max_size=6)


@given(st.lists(changes, max_size=6))
@settings(deadline=None)
def test_a_ledger_tells_each_difference_once(rounds):
    ledger: Ledger[str, int] = Ledger()
    truth: dict[str, int] = {}
    told: dict[str, int] = {}
    for batch in rounds:
        for key, value in batch:
            if value is None:
                ledger.drop(key)
                truth.pop(key, None)
            else:
                ledger.put(key, value)
                truth[key] = value
        changed, gone = ledger.drain()
        assert all(told.get(key) != value for key, value in changed.items())
        assert gone <= told.keys()
        told = {key: value for key, value in told.items() if key not in gone} | changed
        assert told == truth
