"""The engine's program says of every packet what the resources themselves say."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.brute_force import allowed
from strategies.clusters import ADDRESSES, PORTS, final, histories, policy_inputs
from tortie.api import WorkloadEndpoint
from tortie.engine import Engine, NodeState
from tortie.net import parse_address
from tortie.net.protocols import ICMP, SCTP, TCP, UDP
from tortie.policy import Packet, evaluate, explain

OUTSIDE = ["198.51.100.7", "2001:db8::1"]


PACKETS = 40


def packet_from(chance: Random, endpoints: list[WorkloadEndpoint]) -> Packet:
    """A packet between two addresses of one family, one of them a local endpoint's."""
    local = chance.choice(endpoints)
    version, address = parse_address(chance.choice(local.spec.ip_networks))
    others = [parse_address(text) for text in ADDRESSES + OUTSIDE]
    other = chance.choice([number for family, number in others if family == version])
    protocol = chance.choice([TCP, TCP, UDP, SCTP, *([ICMP] if version == 4 else [])])
    outwards, icmp = chance.random() < 0.5, protocol == ICMP
    return Packet(
        version=version,
        source=address if outwards else other,
        destination=other if outwards else address,
        protocol=protocol,
        source_port=None if icmp else chance.choice(PORTS),
        destination_port=None if icmp else chance.choice(PORTS),
        icmp_type=chance.choice([0, 8]) if icmp else None,
        icmp_code=chance.choice([0, 1]) if icmp else None,
        source_endpoint=local.key if outwards else None,
        destination_endpoint=None if outwards else local.key,
    )


@given(histories(policy_inputs), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_program_and_resources_agree_on_every_packet(history, seed):
    engine, state = Engine("n1"), NodeState()
    for batch in history:
        state.fold(engine.apply(batch))
    resources = final(history)
    local = [
        value
        for key, value in resources.items()
        if key.kind == "WorkloadEndpoint" and value.spec.node == "n1" and value.spec.ip_networks
    ]
    chance = Random(seed)  # forty packets drawn by hypothesis would cost more than the cluster
    for _ in range(PACKETS if local else 0):
        packet = packet_from(chance, local)
        verdict = evaluate(state.program(), packet)
        assert verdict.allowed == allowed(resources, packet), explain(verdict)
