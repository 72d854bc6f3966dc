"""The engine's program says of every packet what the resources themselves say."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.brute_force import allowed
from strategies.clusters import ADDRESSES, PORTS, final, histories, policy_inputs
from tortie.api import WorkloadEndpoint
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.engine import Engine, NodeState
from tortie.net import parse_address
from tortie.net.protocols import ICMP, SCTP, TCP, UDP
from tortie.policy import Packet, Path, evaluate, explain

OUTSIDE = ["198.51.100.7", "2001:db8::1"]


PACKETS = 40
HOST_PORTS = [*PORTS, 22, 179]


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


def packet_by_hosts(chance: Random, hosts: list[HostEndpoint], workloads: list) -> Packet:
    """A packet that comes in or leaves, or both, by a local host endpoint."""
    version = chance.choice([4, 4, 6])
    addresses = [parse_address(text) for text in ADDRESSES + OUTSIDE]
    known = [number for family, number in addresses if family == version]
    protocol = chance.choice([TCP, TCP, UDP])
    path = chance.choice(list(Path))
    inside = chance.choice([None, *workloads])
    mine = inside and [n for f, n in map(parse_address, inside.spec.ip_networks) if f == version]
    changed = chance.random() < 0.3
    return Packet(
        version=version,
        source=chance.choice(known),
        destination=mine[0] if mine else chance.choice(known),
        protocol=protocol,
        source_port=chance.choice(HOST_PORTS),
        destination_port=chance.choice(HOST_PORTS),
        destination_endpoint=inside.key if mine and path is not Path.TO_HOST else None,
        path=path,
        entered=chance.choice(hosts).key if path is not Path.FROM_HOST else None,
        left=chance.choice([None, chance.choice(hosts).key]) if path is not Path.TO_HOST else None,
        first_destination=chance.choice(known) if changed else None,
        first_destination_port=chance.choice(HOST_PORTS) if changed else None,
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
    hosts = [
        value
        for key, value in resources.items()
        if key.kind == "HostEndpoint" and value.spec.node == "n1"
    ]
    chance = Random(seed)  # forty packets drawn by hypothesis would cost more than the cluster
    packets = [packet_from(chance, local) for _ in range(PACKETS if local else 0)]
    packets += [packet_by_hosts(chance, hosts, local) for _ in range(PACKETS if hosts else 0)]
    for packet in packets:
        verdict = evaluate(state.program(), packet)
        assert verdict.allowed == allowed(resources, packet), explain(verdict)
