"""Host endpoints: real packets to, from and through a node get the evaluator's verdicts."""

import os
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from dataplane.hostlab import FAR, NODE, SIDE, SIDE_NODE, HostLab, link_of
from dataplane.iptables.worlds import World, new_driver
from dataplane.packets import UPLINK, Sent
from dataplane.programming import without_ways_back
from strategies.host_programs import FAILSAFES, with_host_endpoints
from strategies.loose_programs import UNKNOWN_PROTOCOL, loose_programs, with_open_peer
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE, PORTS, programs
from tortie.dataplane.iptables import Backend, IptablesSettings
from tortie.net import Prefix
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from tortie.policy import Packet, Path, Program, host_endpoint_of

pytestmark = pytest.mark.root

PROGRAMS = int(os.environ.get("TORTIE_PROGRAMS", "25"))
LINKS = {UPLINK: NODE, SIDE: SIDE_NODE}
OWNERS = {(one.version, one.address): n for n in range(4) for one in (HOSTS4[n], HOSTS6[n])}


def ends(version: int) -> list[tuple[Path, Prefix, Prefix]]:
    """Where packets go: through the node, to it, from it."""
    at = version == 6
    outside, far, node, side = OUTSIDE[at], FAR[at], NODE[at], SIDE_NODE[at]
    pods = (HOSTS6 if at else HOSTS4)[2:4]
    through = [(outside, far), (far, outside), (pods[0], outside), (outside, pods[1])]
    through += [(pods[1], far), (far, pods[1]), (pods[1], outside)]
    to = [(outside, node), (far, node), (far, side), (pods[1], node)]
    begun = [(node, outside), (side, far), (node, pods[1])]
    listed = ((Path.FORWARD, through), (Path.TO_HOST, to), (Path.FROM_HOST, begun))
    return [(path, *pair) for path, pairs in listed for pair in pairs]


def every_packet() -> Iterator[Packet]:
    """First packets of each protocol, each another connection."""
    for version in (4, 6):
        protocol, echo = (ICMP, 8) if version == 4 else (ICMPV6, 128)
        for number, (path, source, destination) in enumerate(ends(version)):
            plain = Packet(
                version=version,
                source=source.address,
                destination=destination.address,
                protocol=UNKNOWN_PROTOCOL,
                source_endpoint=pod(source),
                destination_endpoint=pod(destination),
                path=path,
            )
            yield plain
            yield replace(plain, protocol=protocol, icmp_type=echo, icmp_code=0)
            for one, there in product((TCP, UDP, SCTP), PORTS):
                # Ends that are others' way back have other ports of their own.
                here = PORTS[(there + one) % len(PORTS)] if number % 2 else 20000 + number
                yield replace(plain, protocol=one, source_port=here, destination_port=there)


def pod(address: Prefix) -> object:
    number = OWNERS.get((address.version, address.address))
    return None if number is None else ENDPOINTS[number]


PACKETS = list(without_ways_back(every_packet()))


def placed(packet: Packet, program: Program) -> Packet:
    """The packet with the host endpoints by which it comes in and leaves."""

    def host(link: str) -> object:
        return host_endpoint_of(program, link, LINKS[link]) if link in LINKS else None

    back = replace(packet, source=packet.destination)
    comes = "" if packet.path is Path.FROM_HOST else link_of(packet, OWNERS)
    leaves = "" if packet.path is Path.TO_HOST else link_of(back, OWNERS)
    return replace(packet, entered=host(comes), left=host(leaves))


class HostWorld(World):
    """A world in which packets come in and leave by host endpoints."""

    def sent(self, packet: Packet) -> Sent:
        return Sent(link_of(packet, OWNERS), packet)

    def judged(self, packet: Packet) -> Packet:
        return placed(packet, self.in_force)


@pytest.fixture(scope="module", params=list(Backend))
def world(request: pytest.FixtureRequest) -> Iterator[HostWorld]:
    with HostLab() as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        chosen = IptablesSettings(backend=request.param, failsafes=FAILSAFES)
        made = HostWorld(lab, chosen)
        yield made
        made.close()


_bounded = settings(
    max_examples=PROGRAMS,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ADDRESSES = [*NODE, *SIDE_NODE]


@_bounded
@given(program=with_host_endpoints(programs(), list(LINKS), ADDRESSES))
def test_packets_get_the_verdict_of_the_evaluator(world: HostWorld, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)


@_bounded
@given(program=with_host_endpoints(loose_programs(), list(LINKS), ADDRESSES))
def test_rules_that_only_the_types_allow_get_it_too(world: HostWorld, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)


def test_without_host_endpoints_the_node_is_left_alone(world: HostWorld) -> None:
    world.agree(replace(with_open_peer(Program()), failsafes=FAILSAFES), PACKETS)
    with new_driver(world.lab, world.settings) as driver:
        assert driver.resync().failed == ()
