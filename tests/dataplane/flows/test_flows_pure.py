"""Which connections a change concerns, and what becomes of them: against the evaluator."""

from collections.abc import Mapping, Set

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dataplane.programming import between, every_packet, whole
from strategies.programs import ENDPOINTS, HOSTS4, OUTSIDE, programs
from tortie.dataplane.flows.concern import Concern, Concerned
from tortie.dataplane.flows.judging import Ends, HostAddress, first_packet, is_denied
from tortie.dataplane.policy.interfaces import Owners
from tortie.linux.netlink.ctnetlink import Flow, Side
from tortie.policy import Packet, Program, evaluate
from tortie.policy.packet import Path
from tortie.policy.program import EndpointId, HostEndpoint, PolicyId, SetId

PACKETS = [one for one in every_packet() if one.source_endpoint or one.destination_endpoint][::5]
NODE = (4, 0x0A000001)
HOST = EndpointId("HostEndpoint", "", "eth0")


class Users:
    """Who looks into a set, of two programs."""

    def __init__(self, *some: Program) -> None:
        self._programs = some

    def policy_users(self, set_id: SetId) -> Set[PolicyId]:
        return {
            one.id
            for program in self._programs
            for one in program.policies.values()
            if any(set_id in rule.set_ids for rule in (*one.ingress, *one.egress))
        }

    def profile_users(self, set_id: SetId) -> Set[str]:
        return {
            one.name
            for program in self._programs
            for one in program.profiles.values()
            if any(set_id in rule.set_ids for rule in (*one.ingress, *one.egress))
        }


class Around:
    """Two addresses of the node; everything else is behind eth0."""

    def is_local(self, address: HostAddress) -> bool:
        return address == NODE

    def interface_to(self, address: HostAddress) -> str:
        return "" if self.is_local(address) else "eth0"


NO_HOSTS = Owners({}, None)


def ends(workloads: Mapping[HostAddress, EndpointId], hosts: Owners = NO_HOSTS) -> Ends:
    return Ends(workloads, hosts, Around())


def flow_of(packet: Packet) -> Flow:
    """What connection tracking keeps of a connection that begins with this packet."""
    went = Side(
        packet.source,
        packet.destination if packet.first_destination is None else packet.first_destination,
        packet.protocol,
        packet.source_port,
        packet.destination_port
        if packet.first_destination is None
        else packet.first_destination_port,
        packet.icmp_type,
        packet.icmp_code,
    )
    came = Side(
        packet.destination,
        packet.source,
        packet.protocol,
        packet.destination_port,
        packet.source_port,
    )
    return Flow(packet.version, went, came, b"")


def known(program: Program) -> Concerned:
    return Concerned.of(program.endpoints.values(), program.host_endpoints)


def denied(program: Program) -> set[int]:
    return {place for place, one in enumerate(PACKETS) if not evaluate(program, one).allowed}


@settings(max_examples=25)
@given(programs())
def test_a_connection_is_judged_as_the_packet_that_began_it(program: Program) -> None:
    around = ends(known(program).workloads)
    for packet in PACKETS:
        owned = replace(
            packet,
            source_endpoint=around.workloads.get((packet.version, packet.source)),
            destination_endpoint=around.workloads.get((packet.version, packet.destination)),
        )
        if owned.source_endpoint or owned.destination_endpoint:
            expected = not evaluate(program, owned).allowed
            assert is_denied(flow_of(packet), program, around) is expected


@settings(max_examples=25)
@given(programs(), programs())
def test_whatever_becomes_denied_is_concerned(old: Program, new: Program) -> None:
    concerned, concern = known(old), Concern()
    concerned.fold(between(old, new), Users(old, new), concern)
    owners = known(new).workloads
    assert concerned.workloads == owners
    for place in denied(new) - denied(old):
        packet = PACKETS[place]
        ends_of = {(packet.version, packet.source), (packet.version, packet.destination)}
        is_gone = not ends_of & owners.keys()
        is_new = packet.source_endpoint not in old.endpoints
        assert is_gone or is_new or concern.addresses & ends_of


@settings(max_examples=25)
@given(programs())
def test_nothing_is_concerned_by_what_is_new_or_the_same(program: Program) -> None:
    concerned, concern = Concerned(), Concern()
    concerned.fold(whole(program), Users(), concern)
    assert not concern
    concerned.fold(between(program, program), Users(program), concern)
    assert not concern


@settings(max_examples=25)
@given(programs(), st.sampled_from(ENDPOINTS))
def test_what_left_is_concerned_no_more(program: Program, gone: EndpointId) -> None:
    concerned = known(program)
    left = {name: one for name, one in program.endpoints.items() if name != gone}
    without = replace(program, endpoints=left)
    concerned.fold(between(program, without), Users(program), Concern())
    assert gone not in concerned.workloads.values()


TRANSLATED = Packet(
    version=4,
    source=OUTSIDE[0].address,
    destination=HOSTS4[0].address,
    protocol=6,
    source_port=4000,
    destination_port=80,
    destination_endpoint=ENDPOINTS[0],
    first_destination=NODE[1],
    first_destination_port=30080,
)
AT_ETH0 = Owners({"eth0": HOST}, None)


@pytest.mark.parametrize(
    "packet",
    [
        TRANSLATED,
        replace(TRANSLATED, entered=HOST),
        Packet(4, HOSTS4[0].address, NODE[1], 6, 1, 2, None, None, ENDPOINTS[0], path=Path.TO_HOST),
        Packet(
            4,
            OUTSIDE[0].address,
            NODE[1],
            17,
            1,
            2,
            path=Path.TO_HOST,
            entered=HOST,
        ),
        Packet(4, NODE[1], OUTSIDE[0].address, 1, None, None, 8, 0, path=Path.FROM_HOST, left=HOST),
    ],
    ids=["translated", "through a host endpoint", "to the node", "host endpoint in", "out"],
)
def test_the_way_of_a_packet_is_found_again(packet: Packet) -> None:
    owners = AT_ETH0 if HOST in (packet.entered, packet.left) else NO_HOSTS
    workloads = {(4, HOSTS4[0].address): ENDPOINTS[0]}
    assert first_packet(flow_of(packet), ends(workloads, owners)) == packet


def test_the_node_s_talk_with_itself_and_what_passes_by_is_nobody_s() -> None:
    loop = Packet(4, NODE[1], NODE[1], 6, 1, 2)
    by = Packet(4, OUTSIDE[0].address, OUTSIDE[0].address + 1, 6, 1, 2)
    assert first_packet(flow_of(loop), ends({}, AT_ETH0)) is None
    assert first_packet(flow_of(by), ends({})) is None


def test_a_host_endpoint_s_change_concerns_everything() -> None:
    concern, host = Concern(), HostEndpoint(HOST, "eth0")
    known(Program()).fold(
        between(Program(), Program(host_endpoints={HOST: host})), Users(), concern
    )
    assert concern.everything
