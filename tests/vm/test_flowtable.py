"""Beside somebody's flowtable: what is offloaded there passes by every chain, so also by policy.

Only connections that policy has let through get there. What a new policy denies has to end all
the same, where it is asked for.
"""

import socket
from collections.abc import Iterator
from socket import IPPROTO_TCP, IPPROTO_UDP

import pytest

from dataplane.programming import between, whole
from tortie.dataplane.flows import FlowDriver
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.policy.program import Action, Rule
from vm.features import patience
from vm.podlab import PODS, UPLINK, PodLab, gets_nothing, guarded, text

pytestmark = [pytest.mark.root, pytest.mark.vm("nf_flow_table_inet", "nft_flow_offload")]

PORT = 5000
OPEN, SHUT = guarded(), guarded(pod_1=Rule(Action.DENY))
SETTINGS = NftSettings(end_denied_flows=True)
THEIRS = f"""
table inet theirs {{
    flowtable fast {{
        hook ingress priority filter
        devices = {{ cali0, cali1, {UPLINK} }}
    }}
    chain forward {{
        type filter hook forward priority filter + 10
        meta l4proto {{ tcp, udp }} ct state established flow add @fast
        counter comment "seen"
    }}
}}
"""


@pytest.fixture
def lab() -> Iterator[PodLab]:
    with PodLab() as made:
        made.run("nft", "-f", "-", text=THEIRS)
        yield made


@pytest.fixture
def driver(lab: PodLab) -> Iterator[NftablesDataplane]:
    with lab.inside():
        made = NftablesDataplane(SETTINGS)
    with made:
        made.fold(whole(OPEN))
        assert made.resync().failed == ()
        yield made


@pytest.mark.parametrize("protocol", [IPPROTO_TCP, IPPROTO_UDP])
def test_what_is_offloaded_ends_when_policy_denies_it(
    lab: PodLab, driver: NftablesDataplane, protocol: int
) -> None:
    client, server = _talking(lab, protocol)
    assert _is_offloaded(lab, client, server)
    flows = FlowDriver(SETTINGS, lambda: driver.desired)
    with lab.inside():
        flows.resync()
        change = between(OPEN, SHUT)
        assert driver.apply(change).failed == ()
        flows.apply(change)
        flows.close()
    assert not _reaches(client, server)
    # Policy denies nobody to begin one from pod-1 to pod-0; an answer of TCP begins none.
    assert _reaches(server, client) == (protocol == IPPROTO_UDP)


def test_what_policy_denies_is_never_offloaded(lab: PodLab, driver: NftablesDataplane) -> None:
    client, server = _talking(lab, IPPROTO_TCP)
    assert _is_offloaded(lab, client, server)
    assert driver.apply(between(OPEN, SHUT)).failed == ()
    refused = lab.socket("pod-2", IPPROTO_TCP, PODS[2], seconds=2)
    assert gets_nothing(lambda: refused.connect((text(PODS[1]), PORT)))
    assert _says(client, server)  # which began before; EndDeniedFlows is another matter


def _talking(lab: PodLab, protocol: int) -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection from pod-0 to pod-1."""
    server = lab.socket("pod-1", protocol, PODS[1], PORT)
    client = lab.socket("pod-0", protocol, PODS[0], PORT if protocol == IPPROTO_UDP else 0)
    client.connect((text(PODS[1]), PORT))
    if protocol == IPPROTO_UDP:
        server.connect((text(PODS[0]), PORT))
        return client, server
    accepted, _ = server.accept()
    accepted.settimeout(patience(20))
    return client, accepted


def _is_offloaded(lab: PodLab, client: socket.socket, server: socket.socket) -> bool:
    """Whether, once it is established, nothing of it comes by a chain any more."""
    for _ in range(3):
        assert _says(client, server)
        assert _says(server, client)
    before = _seen(lab)
    for _ in range(10):
        assert _says(client, server)
        assert _says(server, client)
    return _seen(lab) == before


def _says(one: socket.socket, other: socket.socket) -> bool:
    one.send(b"word")
    return other.recv(100) == b"word"


def _reaches(one: socket.socket, other: socket.socket) -> bool:
    one.send(b"too late")
    other.settimeout(1)
    return not gets_nothing(lambda: other.recv(100))


def _seen(lab: PodLab) -> str:
    """What the counter behind `flow add` has seen."""
    chain = lab.run("nft", "list", "chain", "inet", "theirs", "forward")
    return next(line for line in chain.splitlines() if "seen" in line)
