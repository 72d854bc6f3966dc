"""The engine's program says of every packet what the resources themselves say."""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from strategies.brute_force import allowed
from strategies.clusters import ADDRESSES, PORTS, final, histories, policy_inputs
from tortie.engine import Engine, NodeState
from tortie.net import parse_address
from tortie.net.protocols import ICMP, SCTP, TCP, UDP
from tortie.policy import Packet, evaluate, explain

OUTSIDE = ["198.51.100.7", "2001:db8::1"]


@st.composite
def packets(draw: st.DrawFn, endpoints: list) -> Packet:
    """A packet between two addresses of one family, one of them a local endpoint's."""
    local = draw(st.sampled_from(endpoints))
    version, address = parse_address(draw(st.sampled_from(local.spec.ip_networks)))
    others = [parse_address(text) for text in ADDRESSES + OUTSIDE]
    other = draw(st.sampled_from([number for family, number in others if family == version]))
    protocol = draw(st.sampled_from([TCP, TCP, UDP, SCTP, *([ICMP] if version == 4 else [])]))
    outwards = draw(st.booleans())
    port = st.none() if protocol == ICMP else st.sampled_from(PORTS)
    return Packet(
        version=version,
        source=address if outwards else other,
        destination=other if outwards else address,
        protocol=protocol,
        source_port=draw(port),
        destination_port=draw(port),
        icmp_type=draw(st.sampled_from([0, 8])) if protocol == ICMP else None,
        icmp_code=draw(st.sampled_from([0, 1])) if protocol == ICMP else None,
        source_endpoint=local.key if outwards else None,
        destination_endpoint=None if outwards else local.key,
    )


@given(histories(policy_inputs), st.data())
@settings(max_examples=300, deadline=None)
def test_program_and_resources_agree_on_every_packet(history, data):
    engine, state = Engine("n1"), NodeState()
    for batch in history:
        state.fold(engine.apply(batch))
    resources = final(history)
    local = [
        value
        for key, value in resources.items()
        if key.kind == "WorkloadEndpoint" and value.spec.node == "n1" and value.spec.ip_networks
    ]
    if not local:
        event("no local endpoint")
        return
    for packet in data.draw(st.lists(packets(local), min_size=1, max_size=8)):
        verdict = evaluate(state.program(), packet)
        deciding = verdict.steps[-1]
        event(f"{deciding.stage} {deciding.matched is not None} {verdict.allowed}")
        assert verdict.allowed == allowed(resources, packet), explain(verdict)
