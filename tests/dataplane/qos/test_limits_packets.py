"""Packet rates, connections, DSCP: real packets through both firewalls."""

import time
from collections.abc import Iterator

import pytest

from dataplane.packets import UPLINK, Sent
from dataplane.qos.scene import (
    FAR,
    FIREWALLS,
    NODE,
    OWN,
    QosLab,
    Scene,
    answers,
    packets,
    qos_lab,
)
from tortie.engine.delta import Delta
from tortie.net.protocols import TCP
from tortie.policy.program import (
    Action,
    DefaultAction,
    EndpointId,
    HostEndpoint,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
    Tiers,
)

pytestmark = pytest.mark.root
VERSIONS = [4, 6]
SYN, ACK = 2, 16


@pytest.fixture(scope="module")
def lab() -> Iterator[QosLab]:
    with qos_lab() as made:
        yield made


@pytest.fixture(params=FIREWALLS)
def scene(lab: QosLab, request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(lab, request.param)
    yield made
    made.close()


def passed(scene: Scene, sent: list[Sent]) -> int:
    return sum(scene.lab.deliver(sent))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_bucket_of_packets_holds_passes_and_the_rest_is_dropped(scene: Scene, version: int):
    began = time.monotonic()
    scene.limit(0, ingress_packet_rate=1, ingress_packet_burst=20, egress_packet_rate=1)
    own, far = OWN[version][0], FAR[version]
    to, back = packets(version, far, own, 50), packets(version, own, far, 50)
    coming, going = passed(scene, to), passed(scene, back)
    late = 1 + time.monotonic() - began
    assert 20 <= coming <= 20 + late
    assert 5 <= going <= 5 + late
    other = OWN[version][1]
    assert passed(scene, packets(version, far, other, 50)) == 50
    scene.check_nothing_to_repair()
    scene.limit(0)
    assert passed(scene, to) == passed(scene, back) == 50
    scene.check_nothing_to_repair()


def test_packets_of_connections_that_are_allowed_already_count_too(scene: Scene):
    own, far = OWN[4][0], FAR[4]
    ask = packets(4, own, far)
    answer = answers(ask, UPLINK)
    assert passed(scene, [*ask, *answer]) == 2
    began = time.monotonic()
    scene.limit(0, egress_packet_rate=1, egress_packet_burst=3)
    most = passed(scene, ask * 20)
    assert 3 <= most <= 3 + 1 + time.monotonic() - began
    assert passed(scene, answer * 20) == 20


def test_a_change_of_policy_does_not_fill_the_bucket(scene: Scene):
    began = time.monotonic()
    scene.limit(0, ingress_packet_rate=1, ingress_packet_burst=10)
    sent = packets(4, FAR[4], OWN[4][0], 20)
    first = passed(scene, sent)
    another = Profile("other", ingress=(Rule(action=Action.ALLOW),))
    scene.driver.apply(Delta(profiles={"other": another}))
    scene.change(0, profiles=("open", "other"))
    scene.change(1, profiles=())
    both = first + passed(scene, sent)
    assert 10 <= both <= 10 + 1 + time.monotonic() - began


def test_another_rate_is_another_bucket(scene: Scene):
    scene.limit(0, ingress_packet_rate=1, ingress_packet_burst=5)
    sent = packets(4, FAR[4], OWN[4][0], 30)
    passed(scene, sent)
    began = time.monotonic()
    scene.limit(0, ingress_packet_rate=2, ingress_packet_burst=15)
    assert 15 <= passed(scene, sent) <= 15 + 2 * (1 + time.monotonic() - began)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_connections_beyond_the_limit_are_reset_and_others_go_on(
    scene: Scene, version: int, direction: str
):
    scene.limit(0, **{f"{direction}_max_connections": 3})
    own, other, far = OWN[version][0], OWN[version][1], FAR[version]
    if direction == "ingress":
        ends, asking, asked = (far, own), UPLINK, "cali0"
    else:  # to another workload: no NAT on the way
        ends, asking, asked = (own, other), "cali0", "cali1"
    scene.lab.resets(asking, version)
    began = packets(version, *ends, 3, TCP)
    assert scene.lab.deliver(began) == [True] * 3
    assert scene.lab.segments(answers(began, asked), SYN | ACK) == [True] * 3
    assert scene.lab.deliver(packets(version, *ends, 3, TCP, 2000)) == [False] * 3
    assert scene.lab.resets(asking, version) == 3
    # Those that count go on; what is no connection of TCP's is not limited.
    assert scene.lab.segments(began, ACK) == [True] * 3
    assert passed(scene, packets(version, *ends, 9)) == 9
    # The other direction, and others, have no limit.
    assert passed(scene, packets(version, *reversed(ends), 9, TCP, 3000)) == 9
    assert passed(scene, packets(version, other, far, 9, TCP)) == 9
    scene.check_nothing_to_repair()


def test_connections_that_ended_make_room(scene: Scene):
    """The kernel looks for ended ones once in a tick, and no more than eight at a time."""
    scene.limit(0, ingress_max_connections=2)
    assert passed(scene, packets(4, FAR[4], OWN[4][0], 4, TCP)) == 2
    scene.lab.forget_connections()
    deadline = time.monotonic() + 60
    port = 5000
    while not passed(scene, packets(4, FAR[4], OWN[4][0], 1, TCP, port)):
        assert time.monotonic() < deadline, "an ended connection still takes room"
        port += 1


def test_a_change_of_policy_keeps_count_of_connections(scene: Scene):
    """But in legacy iptables, where every change makes all rules anew."""
    scene.limit(0, ingress_max_connections=2)
    assert passed(scene, packets(4, FAR[4], OWN[4][0], 2, TCP)) == 2
    scene.driver.apply(Delta(profiles={"other": Profile("other")}))
    scene.change(0, profiles=("open", "other"))
    more = passed(scene, packets(4, FAR[4], OWN[4][0], 4, TCP, 5000))
    assert more == (2 if scene.is_legacy else 0)


def test_a_connection_beyond_the_limit_is_reset_even_where_policy_denies_it(scene: Scene):
    """The limit is asked first, so that who asks learns nothing of policy from it."""
    scene.change(0, profiles=())
    scene.limit(0, ingress_max_connections=1)
    assert passed(scene, packets(4, FAR[4], OWN[4][0], 3, TCP)) == 0


def test_both_ends_limits_hold_between_workloads_of_a_node(scene: Scene):
    began = time.monotonic()
    scene.limit(0, egress_packet_rate=1, egress_packet_burst=8)
    scene.limit(1, ingress_packet_rate=1, ingress_packet_burst=4)
    assert 4 <= passed(scene, packets(4, OWN[4][0], OWN[4][1], 30)) <= 5 + time.monotonic() - began


@pytest.mark.parametrize("version", VERSIONS)
def test_packets_that_leave_the_pools_bear_their_class(scene: Scene, version: int):
    scene.limit(0, dscp=46)
    scene.limit(1, dscp=0)
    scene.limit(2, dscp=10)
    far = FAR[version]
    sent = [one for n in range(4) for one in packets(version, OWN[version][n], far)]
    inside = packets(version, OWN[version][0], OWN[version][3])
    coming = packets(version, far, OWN[version][0], first_port=9)
    found = scene.lab.seen([*sent, *inside, *coming])
    assert all(one is not None and one.is_whole for one in found)
    assert [one.dscp for one in found if one] == [46, 0, 10, 0, 0, 0]
    # An answer is a packet that leaves, too.
    back = scene.lab.seen(answers(coming, "cali0"))
    assert [one.dscp for one in back if one] == [46]
    scene.check_nothing_to_repair()
    scene.limit(0, dscp=63)
    assert scene.lab.seen(packets(version, OWN[version][0], far))[0].dscp == 63
    for n in range(3):
        scene.limit(n)
    assert scene.lab.seen(packets(version, OWN[version][0], far))[0].dscp == 0
    scene.check_nothing_to_repair()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("told", ["addresses", "interface", "every"])
def test_what_the_node_itself_sends_bears_its_host_endpoints_class(
    scene: Scene, version: int, told: str
):
    node = EndpointId("HostEndpoint", "", "n1-uplink")
    endpoint = HostEndpoint(
        id=node,
        interface={"addresses": "", "interface": UPLINK, "every": "*"}[told],
        addresses=tuple(NODE.values()) if told == "addresses" else (),
        normal=Tiers((), ()),
        profiles=("open",),
        dscp=40,
    )
    assert scene.driver.apply(Delta(host_endpoints={node: endpoint})).failed == ()
    found = scene.lab.from_the_node(FAR[version])
    assert found is not None
    assert (found.dscp, found.source) == (40, NODE[version])
    plain = scene.lab.seen(packets(version, OWN[version][0], FAR[version]))[0]
    assert plain is not None
    assert plain.dscp == 0
    assert scene.driver.apply(Delta(host_endpoints_removed=frozenset({node}))).failed == ()
    assert scene.lab.from_the_node(FAR[version]).dscp == 0


def test_who_is_refused_by_policy_is_refused_with_limits_too(scene: Scene):
    """A limit never lets pass what policy denies."""
    deny = Policy(PolicyId("NetworkPolicy", "shop", "no"), "default", (Rule(action=Action.DENY),))
    tiers = (TierPolicies("default", DefaultAction.DENY, (deny.id,)),)
    scene.driver.apply(Delta(policies={deny.id: deny}))
    scene.change(0, ingress=tiers)
    scene.limit(0, ingress_packet_rate=100, ingress_max_connections=5)
    assert passed(scene, packets(4, FAR[4], OWN[4][0], 3, TCP)) == 0
