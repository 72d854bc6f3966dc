"""Floating addresses: real packets through both firewalls, from everywhere and back."""

from collections.abc import Iterator

import pytest

from dataplane.packets import UPLINK
from dataplane.qos.scene import (
    FAR,
    FIREWALLS,
    FLOATING,
    NODE,
    OWN,
    QosLab,
    Scene,
    Seen,
    answers,
    packets,
    qos_lab,
)
from tortie.engine.delta import Delta
from tortie.net import Prefix, parse_network
from tortie.net.protocols import TCP
from tortie.policy.program import (
    Action,
    AddressPair,
    DefaultAction,
    EndpointId,
    HostEndpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Rule,
    TierPolicies,
    Tiers,
)

pytestmark = pytest.mark.root
VERSIONS = [4, 6]


@pytest.fixture(scope="module")
def lab() -> Iterator[QosLab]:
    with qos_lab() as made:
        yield made


@pytest.fixture(params=FIREWALLS)
def scene(lab: QosLab, request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(lab, request.param)
    yield made
    made.close()


def ends(seen: Seen | None) -> tuple[Prefix, Prefix] | None:
    return None if seen is None else (seen.source, seen.destination)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("protocol", [17, TCP])
def test_who_asks_the_floating_address_speaks_with_the_workload(
    scene: Scene, version: int, protocol: int
):
    floating, own, far = FLOATING[version], OWN[version][0], FAR[version]
    scene.float(0, floating)
    ask = packets(version, far, floating, protocol=protocol)
    (asked,) = scene.lab.seen(ask)
    assert ends(asked) == (far, own)
    if protocol != TCP:  # the lab's TCP packets are all first ones
        back = answers(packets(version, far, own), "cali0")
        assert ends(scene.lab.seen(back)[0]) == (floating, far)
    scene.check_nothing_to_repair()


@pytest.mark.parametrize("version", VERSIONS)
def test_another_workload_of_the_node_and_the_node_itself_can_ask_too(scene: Scene, version: int):
    floating, own = FLOATING[version], OWN[version]
    scene.float(0, floating)
    ask = packets(version, own[1], floating)
    assert ends(scene.lab.seen(ask)[0]) == (own[1], own[0])
    back = answers(packets(version, own[1], own[0]), "cali0")
    assert ends(scene.lab.seen(back)[0]) == (floating, own[1])
    found = scene.lab.from_the_node(floating)
    assert found is not None
    assert found.destination == own[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_workload_that_asks_its_own_floating_address_answers_itself_through_the_node(
    scene: Scene, version: int
):
    floating, own = FLOATING[version], OWN[version][0]
    scene.float(0, floating)
    ask = packets(version, own, floating)
    assert ends(scene.lab.seen(ask)[0]) == (floating, own)
    back = answers(packets(version, floating, own), "cali0")
    assert ends(scene.lab.seen(back)[0]) == (floating, own)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_workload_begins_itself_leaves_as_any_others(scene: Scene, version: int):
    """By NAT outgoing with the node's address, inside the pools with its own."""
    own, far = OWN[version], FAR[version]
    scene.float(0, FLOATING[version])
    assert ends(scene.lab.seen(packets(version, own[0], far))[0]) == (NODE[version], far)
    assert ends(scene.lab.seen(packets(version, own[0], own[1]))[0]) == (own[0], own[1])


@pytest.mark.parametrize("version", VERSIONS)
def test_floating_addresses_come_go_and_move(scene: Scene, version: int):
    floating, own, far = FLOATING[version], OWN[version], FAR[version]
    other = parse_network({4: "203.0.113.51", 6: "2001:db8:50::2"}[version])
    scene.lab.know([floating, other])
    scene.float(0, floating, other)
    ask = packets(version, far, floating), packets(version, far, other, first_port=7000)
    assert [ends(scene.lab.seen(one)[0]) for one in ask] == [(far, own[0])] * 2
    scene.check_nothing_to_repair()
    scene.float(0, other)
    scene.float(1, floating)
    scene.lab.forget_connections()
    found = [ends(scene.lab.seen(one)[0]) for one in ask]
    assert found == [(far, own[1]), (far, own[0])]
    scene.float(0)
    scene.float(1)
    scene.lab.forget_connections()
    # Nobody's: it goes on to where the routes say, as any other.
    assert [ends(scene.lab.seen(one)[0]) for one in ask] == [(far, floating), (far, other)]
    scene.check_nothing_to_repair()


def test_of_two_workloads_with_one_floating_address_the_lower_id_has_it(scene: Scene):
    for n in (1, 0):
        scene.float(n, FLOATING[4])
    assert ends(scene.lab.seen(packets(4, FAR[4], FLOATING[4]))[0]) == (FAR[4], OWN[4][0])


@pytest.mark.parametrize("version", VERSIONS)
def test_policy_is_asked_about_the_workloads_own_address(scene: Scene, version: int):
    own, far = OWN[version][0], FAR[version]
    scene.float(0, FLOATING[version])
    rules = (
        Rule(action=Action.DENY, destination=PeerMatch(nets=(FLOATING[version],))),
        Rule(action=Action.ALLOW, destination=PeerMatch(nets=(own,))),
    )
    policy = Policy(PolicyId("NetworkPolicy", "shop", "p"), "default", rules)
    tiers = (TierPolicies("default", DefaultAction.DENY, (policy.id,)),)
    scene.driver.apply(Delta(policies={policy.id: policy}))
    scene.change(0, ingress=tiers)
    assert ends(scene.lab.seen(packets(version, far, FLOATING[version]))[0]) == (far, own)
    scene.change(0, ingress=(), profiles=())
    scene.lab.forget_connections()
    assert scene.lab.seen(packets(version, far, FLOATING[version])) == [None]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_host_endpoints_policy_before_nat_sees_the_floating_address(scene: Scene, version: int):
    floating, own, far = FLOATING[version], OWN[version][0], FAR[version]
    scene.float(0, floating)
    deny = Rule(action=Action.DENY, destination=PeerMatch(nets=(floating,)))
    policy = Policy(PolicyId("GlobalNetworkPolicy", "", "early"), "default", (deny,))
    asked = (TierPolicies("default", DefaultAction.DENY, (policy.id,)),)
    host = HostEndpoint(
        id=EndpointId("HostEndpoint", "", "n1-uplink"),
        interface=UPLINK,
        pre_dnat=Tiers(ingress=asked),
        profiles=("open",),
    )
    both = Delta(policies={policy.id: policy}, host_endpoints={host.id: host})
    assert scene.driver.apply(both).failed == ()
    assert scene.lab.seen(packets(version, far, floating)) == [None]
    assert ends(scene.lab.seen(packets(version, far, own))[0]) == (far, own)
    gone = Delta(
        host_endpoints_removed=frozenset({host.id}), policies_removed=frozenset({policy.id})
    )
    assert scene.driver.apply(gone).failed == ()
    assert ends(scene.lab.seen(packets(version, far, floating, first_port=9))[0]) == (far, own)


def test_a_pair_is_of_one_family(scene: Scene):
    pair = AddressPair(FLOATING[4], OWN[4][0])
    assert scene.change(0, floating=(pair, pair)).failed == ()
    assert ends(scene.lab.seen(packets(4, FAR[4], FLOATING[4]))[0]) == (FAR[4], OWN[4][0])
    scene.check_nothing_to_repair()
