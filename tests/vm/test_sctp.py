"""SCTP between real sockets: policy by its ports, connections that are tracked and can be ended."""

from collections.abc import Iterator
from socket import IPPROTO_SCTP

import pytest

from dataplane.programming import whole
from dataplane.proof.firewalls import Driver, Firewall
from tortie.dataplane.nftables import NftSettings
from tortie.linux.flows import Flows
from tortie.policy.program import Action, Rule
from vm.podlab import PODS, PodLab, gets_nothing, guarded, text, to_port

pytestmark = [pytest.mark.root, pytest.mark.vm("sctp")]

OPEN_PORT, SHUT_PORT = 5000, 5001
BY_PORT = guarded(pod_0=Rule(Action.DENY), pod_1=to_port(Action.ALLOW, IPPROTO_SCTP, OPEN_PORT))


@pytest.fixture(params=list(Firewall))
def firewall(request: pytest.FixtureRequest) -> Firewall:
    return request.param


@pytest.fixture
def lab() -> Iterator[PodLab]:
    with PodLab() as made:
        yield made


@pytest.fixture
def driver(lab: PodLab, firewall: Firewall) -> Iterator[Driver]:
    with lab.inside():
        made = firewall.driver(NftSettings())
    with made:
        made.fold(whole(BY_PORT))
        assert made.resync().failed == ()
        yield made


@pytest.mark.usefixtures("driver")
def test_an_association_is_made_where_policy_allows_the_port_and_only_there(lab: PodLab) -> None:
    server = lab.socket("pod-1", IPPROTO_SCTP, PODS[1], OPEN_PORT)
    lab.socket("pod-1", IPPROTO_SCTP, PODS[1], SHUT_PORT)
    client = lab.socket("pod-0", IPPROTO_SCTP, PODS[0])
    client.connect((text(PODS[1]), OPEN_PORT))
    accepted, _ = server.accept()
    with accepted:
        client.send(b"asked")
        assert accepted.recv(100) == b"asked"
        accepted.send(b"answered")  # to a workload that nobody may begin anything with
        assert client.recv(100) == b"answered"
    refused = lab.socket("pod-0", IPPROTO_SCTP, PODS[0], seconds=2)
    assert gets_nothing(lambda: refused.connect((text(PODS[1]), SHUT_PORT)))
    with lab.inside():
        flows = Flows()
    tracked = [one for one in flows.all() if one.original.protocol == IPPROTO_SCTP]
    flows.close()
    assert [one.original.destination_port for one in tracked] == [OPEN_PORT]
