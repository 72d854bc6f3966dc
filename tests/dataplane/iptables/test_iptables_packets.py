"""Real packets through rendered rules get the evaluator's verdicts, on both kinds of iptables.

TORTIE_PROGRAMS: how many programs each property tries. A failing case shrinks and prints packet,
reason, rules and sets; hypothesis prints the program.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from dataplane.iptables.worlds import World
from dataplane.packets import PacketLab, Sent
from dataplane.programming import WORKLOADS, every_packet
from strategies.corners import CORNERS
from strategies.loose_programs import loose_programs, with_open_peer
from strategies.programs import HOSTS4, HOSTS6, OUTSIDE, programs
from tortie.dataplane.iptables import Backend, IptablesSettings
from tortie.net import parse_network
from tortie.policy import Program, evaluate

pytestmark = pytest.mark.root

PROGRAMS = int(os.environ.get("TORTIE_PROGRAMS", "30"))
PACKETS = list(every_packet())


@pytest.fixture(scope="module", params=list(Backend))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with PacketLab(WORKLOADS) as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        made = World(lab, IptablesSettings(backend=request.param))
        yield made
        made.close()


_bounded = settings(
    max_examples=PROGRAMS,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@_bounded
@given(program=programs())
def test_packets_get_the_verdict_of_the_evaluator(world: World, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)


@_bounded
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


def test_there_were_enough_pairs_of_program_and_packet(world: World) -> None:
    """The last of the module for each backend: this many were compared before."""
    assert world.pairs >= 5000
