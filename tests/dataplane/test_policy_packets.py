"""Real packets through rules get the evaluator's verdicts, in every firewall.

Programs at random are in `proof/`; here are corners, and programs that only the types allow.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from dataplane.packets import PacketLab, Sent
from dataplane.programming import WORKLOADS, every_packet
from dataplane.proof.firewalls import Firewall
from dataplane.worlds import World
from strategies.corners import CORNERS
from strategies.loose_programs import loose_programs, with_open_peer
from strategies.programs import HOSTS4, HOSTS6, OUTSIDE
from tortie.dataplane.nftables import NftSettings
from tortie.net import parse_network
from tortie.policy import Program, evaluate

pytestmark = pytest.mark.root

PACKETS = list(every_packet())


@pytest.fixture(scope="module", params=list(Firewall))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with PacketLab(WORKLOADS) as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        made = World(lab, request.param, NftSettings())
        yield made
        made.close()


@settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(program=loose_programs())
def test_rules_that_only_the_types_allow_get_it_too(world: World, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)


@pytest.mark.parametrize("program", CORNERS)
def test_corners_of_the_language_agree_with_the_evaluator(world: World, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)


def test_a_workload_without_a_program_gets_nothing(world: World) -> None:
    world.agree(with_open_peer(Program()), PACKETS)
    assert any(world.arrivals(PACKETS))
    world.agree(Program(), PACKETS)
    assert not any(world.arrivals(PACKETS))


def test_allowed_sources_may_be_used_beside_a_workloads_own(world: World) -> None:
    program = with_open_peer(Program())
    (peer,) = program.endpoints.values()
    nets = tuple(map(parse_network, ("10.65.0.0/31", "10.65.0.0/32", "2001:db8::7/128")))
    free = replace(program, endpoints={peer.id: replace(peer, allowed_sources=nets)})
    world.program(free)
    packets = [
        replace(packet, source=source.address, source_endpoint=peer.id)
        for source in (HOSTS4[1], HOSTS4[2], HOSTS4[3], parse_network("10.65.0.0"))
        for packet in PACKETS
        if packet.source_endpoint == peer.id and packet.version == 4
    ]
    links = [Sent("cali3", packet) for packet in packets if packet.destination_endpoint is None]
    world.lab.forget_connections()
    arrived = world.lab.deliver(links)
    assert arrived == [evaluate(free, one.packet).allowed for one in links]
    assert any(arrived)
    assert not all(arrived)
    world.close()
