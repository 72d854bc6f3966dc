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
from tortie.dataplane.contract import Applied
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.dataplane.policy.settings import HostAction
from tortie.net import PortRange, Prefix, parse_network
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from tortie.policy import Packet, Path, Program, ToHost, evaluate, explain, host_endpoint_of
from tortie.policy.program import (
    Action,
    DefaultAction,
    EndpointId,
    HostEndpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Rule,
    TierPolicies,
    Tiers,
)

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
        self._settings = SETTINGS
        self._driver: NftablesDataplane | None = None

    def use(self, settings: NftSettings) -> None:
        """Begin anew with other settings."""
        self.close()
        self._settings = settings

    def links_changed(self) -> Applied:
        assert self._driver is not None
        return self._driver.links_changed()

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    def program(self, program: Program) -> None:
        if self._driver is None:
            self.lab.nft("flush", "ruleset")
            with self.lab.inside():
                self._driver = NftablesDataplane(self._settings)
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


ALLOW, DENY = Rule(Action.ALLOW), Rule(Action.DENY)
HEP = EndpointId("HostEndpoint", "", "node-uplink")
TCP_IN = replace(
    Packet(4, OUTSIDE[0].address, NODE[0].address, TCP, 40000, 81), path=Path.TO_HOST, entered=HEP
)


def guarded(interface: str = UPLINK, *addresses: Prefix, **stages: Rule) -> Program:
    """One host endpoint whose stages have a rule each, in both directions; pod-3 is open."""
    policies, tiers = {}, {}
    for stage, rule in stages.items():
        name = PolicyId("GlobalNetworkPolicy", "", stage)
        policies[name] = Policy(name, "default", (rule,), (rule,))
        asked = (TierPolicies("default", DefaultAction.DENY, (name,)),)
        tiers[stage] = Tiers(asked, () if stage == "pre_dnat" else asked)
    program = with_open_peer(Program(policies=policies, failsafes=FAILSAFES))
    return replace(program, host_endpoints={HEP: HostEndpoint(HEP, interface, addresses, **tiers)})


def passes(world: World, *packets: Packet) -> list[bool]:
    world.lab.forget_connections()
    return world.lab.deliver(Sent(link_of(one, OWNERS), one) for one in packets)


@pytest.fixture
def clean(world: World) -> Iterator[World]:
    """The world, whose driver begins anew before and after."""
    world.close()
    yield world
    world.close()


def test_an_interface_that_gets_the_expected_address_later_is_guarded_from_then(
    clean: World,
) -> None:
    late = parse_network("192.0.2.99")
    clean.program(guarded("", late))
    assert passes(clean, TCP_IN) == [True]
    clean.lab.own(late)
    try:
        assert clean.links_changed().failed == ()
        assert passes(clean, TCP_IN) == [False]
    finally:
        clean.lab.ip(f"address delete {late} dev {UPLINK}")
    clean.links_changed()
    assert passes(clean, TCP_IN) == [True]


@pytest.mark.parametrize("interface", [UPLINK, "*"])
def test_an_interface_made_anew_is_guarded_without_news_of_it(clean: World, interface: str) -> None:
    clean.program(guarded(interface))
    clean.lab.ip(f"link set {UPLINK} down", f"link set {UPLINK} name elsewhere")
    clean.lab.ip(f"link set elsewhere name {UPLINK}", f"link set {UPLINK} up")
    clean.lab.restore_routes()
    assert passes(clean, TCP_IN) == [False]


def test_answers_pass_where_questions_do_not(clean: World) -> None:
    asked = Packet(4, NODE[0].address, OUTSIDE[0].address, UDP, 4000, 53, path=Path.FROM_HOST)
    answer = Packet(4, OUTSIDE[0].address, NODE[0].address, UDP, 53, 4000, path=Path.TO_HOST)
    clean.program(guarded())
    assert passes(clean, answer) == [False]
    assert passes(clean, asked, answer) == [True, True]  # 53 is failsafe on the way out


def test_before_tracking_each_direction_is_asked_for_itself(clean: World) -> None:
    asked = Packet(4, NODE[0].address, OUTSIDE[0].address, UDP, 4000, 123, path=Path.FROM_HOST)
    answer = Packet(4, OUTSIDE[0].address, NODE[0].address, UDP, 123, 4000, path=Path.TO_HOST)
    clean.program(guarded(untracked=ALLOW))
    assert passes(clean) == []
    others = clean.lab.connections()  # of the lab's own packets
    assert passes(clean, asked, answer) == [True, True]
    assert clean.lab.connections() == others
    to_123 = Rule(Action.ALLOW, protocol=UDP, destination=PeerMatch(ports=(PortRange(123, 123),)))
    clean.program(guarded(untracked=to_123))
    assert passes(clean, asked, answer) == [True, False]


@pytest.mark.parametrize("stage", ["pre_dnat", "forward"])
def test_only_early_policy_sees_where_a_packet_was_sent_to(clean: World, stage: str) -> None:
    """Somebody's NAT leads port 81 of the node to pod-3."""
    to_81 = Rule(Action.DENY, protocol=TCP, destination=PeerMatch(ports=(PortRange(81, 81),)))
    program = guarded(**{stage: to_81})
    if stage == "forward":
        program = guarded(forward=to_81, pre_dnat=Rule(Action.PASS))
    clean.program(program)
    clean.lab.nft(
        "add table ip theirs; add chain ip theirs c { type nat hook prerouting priority -100; }; "
        f"add rule ip theirs c tcp dport 81 dnat to {str(HOSTS4[3]).partition('/')[0]}:80"
    )
    translated = replace(
        TCP_IN,
        destination=HOSTS4[3].address,
        destination_port=80,
        first_destination=TCP_IN.destination,
        first_destination_port=81,
        destination_endpoint=ENDPOINTS[3],
        path=Path.FORWARD,
    )
    expected = evaluate(program, translated).allowed
    try:
        assert passes(clean, TCP_IN) == [expected]
    finally:
        clean.lab.nft("delete table ip theirs")
    assert not expected


@pytest.mark.parametrize("action", list(HostAction))
def test_a_workload_reaches_its_node_by_the_action_whatever_host_endpoints_say(
    clean: World, action: HostAction
) -> None:
    clean.use(replace(SETTINGS, endpoint_to_host=action))
    program = replace(guarded("*"), to_host=ToHost(action.upper()))
    packet = Packet(
        4,
        HOSTS4[3].address,
        NODE[0].address,
        UDP,
        4000,
        4001,
        source_endpoint=ENDPOINTS[3],
        path=Path.TO_HOST,
    )
    try:
        clean.program(program)
        assert passes(clean, packet) == [evaluate(program, packet).allowed]
        assert passes(clean, packet) == [action is not HostAction.DROP]
    finally:
        clean.use(SETTINGS)


def test_ipv6_neighbours_are_found_whatever_policy_says(clean: World) -> None:
    clean.program(guarded("*", untracked=DENY, normal=DENY))
    assert clean.lab.solicits(parse_network("2001:db8::77"))


@pytest.mark.parametrize("early", ["untracked", "pre_dnat"])
def test_what_one_host_endpoint_allows_early_the_other_may_forbid(clean: World, early: str) -> None:
    """The way in is `uplink`, the way out `side`."""
    first = guarded(**{early: ALLOW, "forward": DENY})
    second = EndpointId("HostEndpoint", "", "node-side")
    shut = first.host_endpoints[HEP].forward
    through = Packet(4, OUTSIDE[0].address, FAR[0].address, UDP, 4000, 4001, entered=HEP)
    for forward in (Tiers(), shut):
        side = HostEndpoint(second, SIDE, forward=forward)
        program = replace(first, host_endpoints={**first.host_endpoints, second: side})
        clean.program(program)
        packet = replace(through, left=second)
        assert passes(clean, packet) == [evaluate(program, packet).allowed] == [not forward.egress]


def test_what_goes_with_the_last_host_endpoint(clean: World) -> None:
    clean.program(guarded(normal=DENY, untracked=ALLOW))
    assert "cali-hep-INPUT" in clean.lab.nft("list", "ruleset")
    clean.program(replace(guarded(), host_endpoints={}))
    assert "hep" not in clean.lab.nft("list", "ruleset")
