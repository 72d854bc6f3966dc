"""Real packets through the rendered tables get the evaluator's verdicts, program after program."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from dataplane.packets import PacketLab, Sent
from dataplane.programming import WORKLOADS, between, every_packet, sent, whole
from strategies.long_runs import long_runs, many_policies
from strategies.loose_programs import loose_programs, with_open_peer
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE, programs
from tortie.dataplane.nftables import NftablesDataplane
from tortie.net import PortRange, parse_network
from tortie.policy import Packet, Program, evaluate, explain
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    IcmpMatch,
    IPPort,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
)

pytestmark = pytest.mark.root


class World:
    """One lab and one driver that goes from program to program, as an agent's does."""

    def __init__(self, lab: PacketLab) -> None:
        self.lab = lab
        self._program = Program()
        self._driver: NftablesDataplane | None = None

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    def program(self, program: Program) -> None:
        """Have the driver change what is in force to `program`."""
        if self._driver is None:
            self.lab.nft("flush", "ruleset")
            with self.lab.inside():
                self._driver = NftablesDataplane()
            self._driver.fold(whole(program))
            assert self._driver.resync().failed == ()
        else:
            assert self._driver.apply(between(self._program, program)).failed == ()
        self._program = program

    def check_nothing_to_repair(self) -> None:
        """A driver that starts now finds everything as it would have written it."""
        with self.lab.inside(), NftablesDataplane() as fresh:
            fresh.fold(whole(self._program))
            before = fresh.generation()
            assert fresh.resync().failed == ()
            assert fresh.generation() == before

    def arrivals(self, packets: list[Packet]) -> list[bool]:
        """Which packets arrive, each as the first of its connection."""
        self.lab.forget_connections()
        return self.lab.deliver(sent(packet) for packet in packets)

    def disagreements(self, packets: list[Packet]) -> list[str]:
        """What packet's fate differs from the evaluator's verdict, with the reason."""
        arrived = self.arrivals(packets)
        verdicts = [evaluate(self._program, packet) for packet in packets]
        return [
            f"{'passed' if seen else 'was dropped'}, but:\n{explain(verdict)}"
            for seen, verdict in zip(arrived, verdicts, strict=True)
            if seen != verdict.allowed
        ]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with PacketLab(WORKLOADS) as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        made = World(lab)
        yield made
        made.close()


PACKETS = list(every_packet())


def _agree(world: World, program: Program) -> None:
    try:
        world.program(program)
        wrong = world.disagreements(PACKETS)
        assert not wrong, "\n\n".join([*wrong[:3], world.lab.nft("list", "ruleset")])
        world.check_nothing_to_repair()
    except BaseException:
        world.close()  # the next program starts from nothing
        raise


_bounded = settings(
    max_examples=80,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@_bounded
@given(program=programs())
def test_packets_get_the_verdict_of_the_evaluator(world: World, program: Program) -> None:
    _agree(world, with_open_peer(program))


@_bounded
@given(program=loose_programs())
def test_rules_that_only_the_types_allow_get_it_too(world: World, program: Program) -> None:
    _agree(world, with_open_peer(program))


@_bounded
@given(program=many_policies())
def test_many_policies_asked_at_once_get_it_too(world: World, program: Program) -> None:
    _agree(world, with_open_peer(program))


@_bounded
@given(program=long_runs())
def test_rules_put_together_get_it_too(world: World, program: Program) -> None:
    _agree(world, with_open_peer(program))


def _guarded(*tiers: tuple[DefaultAction, list[tuple[Rule, ...]]], profile: Rule) -> Program:
    """pod-0 behind these tiers, each a list of policies' rules, in both directions; then
    a profile of one rule."""
    named = [
        (
            f"tier-{place}",
            default,
            [PolicyId("GlobalNetworkPolicy", "", f"p{place}{n}") for n in range(len(policies))],
        )
        for place, (default, policies) in enumerate(tiers)
    ]
    walk = tuple(TierPolicies(name, default, tuple(ids)) for name, default, ids in named)
    policies = {
        one: Policy(one, name, rules, rules)
        for (name, _, ids), (_, lists) in zip(named, tiers, strict=True)
        for one, rules in zip(ids, lists, strict=True)
    }
    endpoint = Endpoint(ENDPOINTS[0], "cali0", (HOSTS4[0], HOSTS6[0]), walk, walk, ("last",))
    return Program(
        {endpoint.id: endpoint}, policies, {"last": Profile("last", (profile,), (profile,))}, SETS
    )


SETS = {
    "s:one": frozenset({HOSTS4[3], HOSTS6[3]}),
    "s:all": frozenset({parse_network("0.0.0.0/0"), parse_network("::/0")}),
    "s:none": frozenset(),
    "n:http": frozenset(IPPort(one.version, one.address, 6, 80) for one in (HOSTS4[3], HOSTS6[3])),
}
ALLOW, DENY, PASS, LOG = map(Rule, (Action.ALLOW, Action.DENY, Action.PASS, Action.LOG))
DENIES, PASSES = DefaultAction.DENY, DefaultAction.PASS
TCP_PASS = Rule(Action.PASS, protocol=6)
HTTP = PeerMatch(ports=(PortRange(80, 80),))
NOT_HTTP = PeerMatch(not_ports=(PortRange(80, 80),))


def _only(rule: Rule) -> Program:
    return _guarded((DENIES, [(rule,)]), profile=DENY)


@pytest.mark.parametrize(
    "program",
    [
        _guarded((DENIES, [(TCP_PASS,)]), (DENIES, [()]), profile=ALLOW),
        _guarded((DENIES, [(TCP_PASS,)]), (PASSES, [()]), profile=ALLOW),
        _guarded((DENIES, [(PASS,)]), (DENIES, [(), (ALLOW,)]), profile=DENY),
        _guarded((DENIES, [(PASS,)]), (PASSES, [(), (DENY,)]), profile=ALLOW),
        _guarded((PASSES, [(TCP_PASS,), (DENY,)]), profile=ALLOW),
        _guarded((DENIES, [(ALLOW,), (DENY,)]), profile=DENY),
        _guarded((DENIES, [(LOG, TCP_PASS), (LOG, ALLOW)]), profile=DENY),
        _guarded((PASSES, [(LOG,)]), profile=PASS),
        _guarded(profile=ALLOW),
        _guarded(profile=PASS),
        _only(Rule(Action.ALLOW, destination=HTTP)),
        _only(Rule(Action.ALLOW, destination=NOT_HTTP)),
        _only(Rule(Action.ALLOW, source=NOT_HTTP, destination=NOT_HTTP)),
        _only(Rule(Action.ALLOW, protocol=1, destination=HTTP)),
        _only(Rule(Action.ALLOW, protocol=1, destination=NOT_HTTP)),
        _only(Rule(Action.ALLOW, protocol=99, destination=NOT_HTTP)),
        _only(Rule(Action.ALLOW, not_protocol=6, destination=NOT_HTTP)),
        _only(Rule(Action.ALLOW, icmp=IcmpMatch(8))),
        _only(Rule(Action.ALLOW, icmp=IcmpMatch(128, 1))),
        _only(Rule(Action.ALLOW, not_icmp=IcmpMatch(8, 1))),
        _only(Rule(Action.ALLOW, not_icmp=IcmpMatch(8), destination=NOT_HTTP)),
        _only(Rule(Action.ALLOW, protocol=6, not_icmp=IcmpMatch(8))),
        _only(Rule(Action.ALLOW, protocol=6, icmp=IcmpMatch(8))),
        _only(Rule(Action.ALLOW, protocol=58, icmp=IcmpMatch(128))),
        _only(Rule(Action.ALLOW, protocol=58)),
        _only(Rule(Action.ALLOW, destination=PeerMatch(sets=("s:one",)))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(sets=("s:one", "s:all")))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(sets=("s:none",)))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(not_sets=("s:one", "s:none")))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(not_sets=("s:all",)))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(port_sets=("n:http",)))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(services=("n:http",)))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(not_port_sets=("n:http",)))),
        _only(
            Rule(
                Action.ALLOW,
                destination=PeerMatch(port_sets=("n:http",), ports=(PortRange(443, 8080),)),
                source=PeerMatch(ports=(PortRange(0, 65535),)),
            )
        ),
        _only(Rule(Action.ALLOW, destination=PeerMatch(nets=(parse_network("0.0.0.0/0"),)))),
        _only(Rule(Action.ALLOW, destination=PeerMatch(not_nets=(parse_network("::/0"),)))),
        _only(Rule(Action.ALLOW, ip_version=6, source=PeerMatch(nets=(HOSTS4[0],)))),
    ],
)
def test_corners_of_the_language_agree_with_the_evaluator(world: World, program: Program) -> None:
    _agree(world, with_open_peer(program))


def test_a_workload_without_a_program_gets_nothing(world: World) -> None:
    _agree(world, Program())
    _agree(world, with_open_peer(Program()))
    assert any(world.arrivals(PACKETS))
    _agree(world, Program())
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
