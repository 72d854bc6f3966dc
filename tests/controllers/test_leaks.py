"""When a leak is believed."""

import pytest

from tortie.controllers.leaks import Leaks
from tortie.ipam.audit import Allocation, Audit
from tortie.ipam.records import User
from tortie.net import Prefix, parse_network

NODES = frozenset({"n1"})
AT_ONCE = 0.001  # seconds
POD = {"namespace": "shop", "pod": "web", "node": "n1"}
BLOCK = parse_network("10.0.0.0/26")


def held(
    handle: str = "h",
    ordinal: int = 0,
    *,
    used: bool = False,
    sequence: int = 1,
    attributes: dict[str, str] = POD,
) -> Allocation:
    return Allocation(
        address=Prefix.single(4, BLOCK.address + ordinal),
        block=BLOCK,
        handle=handle,
        sequence=sequence,
        attributes=attributes,
        borrowed=False,
        users=(User("Pod shop/web", "n1"),) if used else (),
        leak="" if used else "nobody has it",
    )


def looked(leaks: Leaks, now: float, *allocations: Allocation) -> int:
    """How many addresses may be given back after this look."""
    return len(leaks.look(Audit(allocations, 0, ()), NODES, now))


def test_a_leak_is_believed_after_two_looks_and_the_grace_period() -> None:
    leaks = Leaks(60)
    assert looked(leaks, 0, held()) == 0
    assert looked(leaks, 59, held()) == 0
    assert looked(leaks, 60, held()) == 1


def test_one_look_is_never_enough() -> None:
    assert looked(Leaks(AT_ONCE), 1000, held()) == 0


@pytest.mark.parametrize("between", [held(used=True), held(sequence=2)])
def test_what_is_used_or_given_anew_between_begins_again(between: Allocation) -> None:
    leaks = Leaks(60)
    looked(leaks, 0, held())
    looked(leaks, 30, between)
    last = held(sequence=between.sequence or 0)
    assert looked(leaks, 60, last) == 0


def test_the_addresses_of_a_handle_go_together_or_not_at_all() -> None:
    leaks = Leaks(AT_ONCE)
    for now in (0, 1, 2):
        assert looked(leaks, now, held(ordinal=0), held(ordinal=1, used=True)) == 0
    looked(leaks, 3, held(ordinal=0), held(ordinal=1))
    assert looked(leaks, 4, held(ordinal=0), held(ordinal=1)) == 2


def test_a_grace_period_of_0_collects_nothing_while_the_node_is_there() -> None:
    leaks = Leaks(0)
    gone = held("g", attributes={**POD, "node": "n2"})
    machine = held("k8s-pod-network.vmi.shop.x", 1)
    assert [looked(leaks, now, held(), machine) for now in (0, 1, 1e9)] == [0, 0, 0]
    assert [looked(leaks, now, held(), gone) for now in (0, 1)] == [0, 1]


def test_a_gone_node_needs_no_grace() -> None:
    leaks = Leaks(900)
    gone = held(attributes={**POD, "node": "n2"})
    assert looked(leaks, 0, gone) == 0
    assert looked(leaks, 1, gone) == 1


@pytest.mark.parametrize(
    "attributes",
    [{}, {"type": "other"}, {"node": "n1", "type": "vxlanTunnelAddress"}, {"node": "n1"}],
)
def test_what_is_no_pods_is_left_while_its_node_is_there(attributes: dict[str, str]) -> None:
    leaks = Leaks(AT_ONCE)
    assert [looked(leaks, now, held(attributes=attributes)) for now in range(3)] == [0, 0, 0]


def test_what_is_released_is_that_very_allocation() -> None:
    leaks = Leaks(AT_ONCE)
    looked(leaks, 0, held(sequence=7))
    (request,) = leaks.look(Audit((held(sequence=7),), 0, ()), NODES, 1)
    assert (request.handle, request.sequence) == ("h", 7)


def test_two_under_one_handle_are_judged_each_for_itself() -> None:
    """Containers of two nodes may be called alike: a gone node's leak is not the other's end."""
    leaks = Leaks(900)
    gone = held(attributes={"namespace": "shop", "pod": "far", "node": "n2"})
    starting = held(ordinal=1)
    for now, expected in ((0, 0), (1, 1), (2, 1)):
        requests = leaks.look(Audit((gone, starting), 0, ()), NODES, now)
        assert [one.address for one in requests] == [gone.address] * expected
    living = held(ordinal=1, used=True)
    assert looked(leaks, 3, gone, living) == 1
    assert leaks.candidates == {str(gone.address)}


def test_what_one_workload_has_waits_for_the_longest_grace_of_all() -> None:
    leaks = Leaks(900)
    gone, here = held(attributes={**POD, "node": "n2"}), held(ordinal=1)
    assert [looked(leaks, now, gone, here) for now in (0, 1, 899, 900)] == [0, 0, 0, 2]
