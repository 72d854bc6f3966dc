"""Host endpoints: real packets to, from and through a node get the evaluator's verdicts."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from dataplane.hostlab import FAR, NODE, SIDE, SIDE_NODE, HostLab, link_of
from dataplane.packets import UPLINK, Sent
from dataplane.programming import between, whole, without_ways_back
from strategies.host_programs import FAILSAFES, with_host_endpoints
from strategies.loose_programs import UNKNOWN_PROTOCOL, loose_programs, with_open_peer
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE, PORTS, programs
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.net import Prefix
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from tortie.policy import Packet, Path, Program, evaluate, explain, host_endpoint_of

pytestmark = pytest.mark.root

SETTINGS = NftSettings(failsafes=FAILSAFES)
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


class World:
    """One lab and one driver that goes from program to program."""

    def __init__(self, lab: HostLab) -> None:
        self.lab = lab
        self._program = Program()
        self._driver: NftablesDataplane | None = None

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    def program(self, program: Program) -> None:
        if self._driver is None:
            self.lab.nft("flush", "ruleset")
            with self.lab.inside():
                self._driver = NftablesDataplane(SETTINGS)
            self._driver.fold(whole(program))
            assert self._driver.resync().failed == ()
        else:
            assert self._driver.apply(between(self._program, program)).failed == ()
        self._program = program

    def agree(self, program: Program) -> None:
        try:
            self.program(program)
            wrong = self.disagreements()
            assert not wrong, "\n\n".join([*wrong[:3], self.lab.nft("list", "ruleset")])
            self._check_nothing_to_repair()
        except BaseException:
            self.close()  # the next program starts from nothing
            raise

    def disagreements(self) -> list[str]:
        self.lab.forget_connections()
        arrived = self.lab.deliver(Sent(link_of(one, OWNERS), one) for one in PACKETS)
        verdicts = [evaluate(self._program, placed(one, self._program)) for one in PACKETS]
        return [
            f"{'passed' if seen else 'was dropped'}, but:\n{explain(verdict)}"
            for seen, verdict in zip(arrived, verdicts, strict=True)
            if seen != verdict.allowed
        ]

    def _check_nothing_to_repair(self) -> None:
        with self.lab.inside(), NftablesDataplane(SETTINGS) as fresh:
            fresh.fold(whole(self._program))
            before = fresh.generation()
            assert fresh.resync().failed == ()
            assert fresh.generation() == before


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with HostLab() as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        made = World(lab)
        yield made
        made.close()


_bounded = settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ADDRESSES = [*NODE, *SIDE_NODE]


@_bounded
@given(program=with_host_endpoints(programs(), list(LINKS), ADDRESSES))
def test_packets_get_the_verdict_of_the_evaluator(world: World, program: Program) -> None:
    world.agree(with_open_peer(program))


@_bounded
@given(program=with_host_endpoints(loose_programs(), list(LINKS), ADDRESSES))
def test_rules_that_only_the_types_allow_get_it_too(world: World, program: Program) -> None:
    world.agree(with_open_peer(program))


def test_without_host_endpoints_the_node_is_left_alone(world: World) -> None:
    world.agree(replace(with_open_peer(Program()), failsafes=FAILSAFES))
    assert "hep" not in world.lab.nft("list", "ruleset")
