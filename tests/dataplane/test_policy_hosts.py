"""Host endpoints: real packets to, from and through a node get the evaluator's verdicts."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from dataplane.hostlab import FAR, NODE, SIDE, SIDE_NODE, HostLab, link_of
from dataplane.packets import UPLINK, Sent
from dataplane.programming import between, without_ways_back
from dataplane.proof.firewalls import Firewall
from dataplane.worlds import World
from strategies.host_programs import FAILSAFES, with_host_endpoints
from strategies.loose_programs import UNKNOWN_PROTOCOL, loose_programs, with_open_peer
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE, PORTS
from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.policy.settings import HostAction
from tortie.net import PortRange, Prefix, parse_network
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from tortie.policy import Packet, Path, Program, ToHost, evaluate, host_endpoint_of
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


class HostWorld(World):
    """A world in which packets come in and leave by host endpoints."""

    def sent(self, packet: Packet) -> Sent:
        return Sent(link_of(packet, OWNERS), packet)

    def judged(self, packet: Packet) -> Packet:
        return placed(packet, self.in_force)


@pytest.fixture(scope="module", params=list(Firewall))
def world(request: pytest.FixtureRequest) -> Iterator[HostWorld]:
    with HostLab() as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        made = HostWorld(lab, request.param, SETTINGS)
        yield made
        made.close()


_bounded = settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ADDRESSES = [*NODE, *SIDE_NODE]


@_bounded
@given(program=with_host_endpoints(loose_programs(), list(LINKS), ADDRESSES))
def test_rules_that_only_the_types_allow_get_it_too(world: HostWorld, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)


def test_without_host_endpoints_the_node_is_left_alone(world: HostWorld) -> None:
    world.agree(replace(with_open_peer(Program()), failsafes=FAILSAFES), PACKETS)
    assert not any(one in world.rules for one in (":cali-fh-", "cali-hep"))


ALLOW, DENY = Rule(Action.ALLOW), Rule(Action.DENY)
HEP = EndpointId("HostEndpoint", "", "node-uplink")
TO_NODE = Packet(4, OUTSIDE[0].address, NODE[0].address, TCP, 40000, 81, path=Path.TO_HOST)
ASKED = Packet(4, NODE[0].address, OUTSIDE[0].address, UDP, 4000, 123, path=Path.FROM_HOST)
ANSWER = Packet(4, OUTSIDE[0].address, NODE[0].address, UDP, 123, 4000, path=Path.TO_HOST)


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


@pytest.fixture
def clean(world: HostWorld) -> Iterator[HostWorld]:
    """The world, whose driver begins anew before and after."""
    world.close()
    yield world
    world.close()


def test_an_interface_that_gets_the_expected_address_later_is_guarded_from_then(
    clean: HostWorld,
) -> None:
    late = parse_network("192.0.2.99")
    clean.program(guarded("", late))
    assert clean.arrivals([TO_NODE]) == [True]
    clean.lab.own(late)
    try:
        assert clean.driver.links_changed().failed == ()
        assert clean.arrivals([TO_NODE]) == [False]
    finally:
        clean.lab.ip(f"address delete {late} dev {UPLINK}")
    assert clean.driver.links_changed().failed == ()
    assert clean.arrivals([TO_NODE]) == [True]


def test_answers_pass_where_questions_do_not(clean: HostWorld) -> None:
    dns = [replace(ASKED, destination_port=53), replace(ANSWER, source_port=53)]
    clean.program(guarded())
    assert clean.arrivals(dns[1:]) == [False]
    assert clean.arrivals(dns) == [True, True]  # 53 is failsafe on the way out


def test_before_tracking_each_direction_is_asked_for_itself(clean: HostWorld) -> None:
    clean.program(guarded(untracked=ALLOW))
    assert clean.arrivals([ASKED, ANSWER]) == [True, True]
    with clean.lab.inside(), open("/proc/net/nf_conntrack") as file:
        assert "port=123" not in file.read()
    to_123 = Rule(Action.ALLOW, protocol=UDP, destination=PeerMatch(ports=(PortRange(123, 123),)))
    clean.program(guarded(untracked=to_123))
    assert clean.arrivals([ASKED, ANSWER]) == [True, False]


@pytest.mark.parametrize("stage", ["pre_dnat", "forward"])
def test_only_early_policy_sees_where_a_packet_was_sent_to(clean: HostWorld, stage: str) -> None:
    """Somebody's NAT leads port 81 of the node to pod-3."""
    to_81 = Rule(Action.ALLOW, protocol=TCP, destination=PeerMatch(ports=(PortRange(81, 81),)))
    program = guarded(**{stage: to_81})
    clean.program(program)
    clean.lab.nft(
        "add table ip theirs; add chain ip theirs c { type nat hook prerouting priority -100; }; "
        f"add rule ip theirs c tcp dport 81 dnat to {str(HOSTS4[3]).partition('/')[0]}:80"
    )
    translated = replace(
        TO_NODE,
        destination=HOSTS4[3].address,
        destination_port=80,
        first_destination=TO_NODE.destination,
        first_destination_port=81,
        destination_endpoint=ENDPOINTS[3],
        path=Path.FORWARD,
        entered=HEP,
    )
    assert evaluate(program, translated).allowed == (stage == "pre_dnat")
    try:
        assert clean.arrivals([TO_NODE]) == [stage == "pre_dnat"]
    finally:
        clean.lab.nft("delete table ip theirs")


@pytest.mark.parametrize("interface", [UPLINK, "*"])
def test_an_interface_made_anew_is_guarded_without_news_of_it(
    clean: HostWorld, interface: str
) -> None:
    clean.program(guarded(interface))
    clean.lab.ip(f"link set {UPLINK} down", f"link set {UPLINK} name elsewhere")
    clean.lab.ip(f"link set elsewhere name {UPLINK}", f"link set {UPLINK} up")
    clean.lab.restore_routes()
    assert clean.arrivals([TO_NODE]) == [False]


@pytest.mark.parametrize("action", list(HostAction))
def test_a_workload_reaches_its_node_by_the_action_whatever_host_endpoints_say(
    clean: HostWorld, action: HostAction
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
        assert clean.arrivals([packet]) == [evaluate(program, packet).allowed]
        assert clean.arrivals([packet]) == [action is not HostAction.DROP]
    finally:
        clean.use(SETTINGS)


def test_ipv6_neighbours_are_found_whatever_policy_says(clean: HostWorld) -> None:
    clean.program(guarded("*", untracked=DENY, normal=DENY))
    assert clean.lab.solicits(parse_network("2001:db8::77"))


@pytest.mark.parametrize("early", ["untracked", "pre_dnat"])
def test_what_one_host_endpoint_allows_early_the_other_may_forbid(
    clean: HostWorld, early: str
) -> None:
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
        assert (
            clean.arrivals([packet]) == [evaluate(program, packet).allowed] == [not forward.egress]
        )


def test_a_refused_host_endpoint_is_named_and_left_with_its_failsafe_ports(
    clean: HostWorld,
) -> None:
    """A set that is not there makes the kernel refuse the early policy's rule. In iptables it
    stands in chains of the host endpoints' own, in nftables in chains of the policy's.
    """
    by_itself = clean.firewall is Firewall.NFTABLES
    failsafe = replace(TO_NODE, destination_port=80)
    clean.program(replace(guarded(), host_endpoints={}))
    unknown = Rule(Action.ALLOW, source=PeerMatch(sets=("s:never-given",)))
    refused = guarded(untracked=unknown, normal=ALLOW)
    failed = clean.driver.apply(between(clean.in_force, refused)).failed
    subject = "GlobalNetworkPolicy(untracked)" if by_itself else "host endpoints"
    assert subject in [one.subject for one in failed]
    assert clean.arrivals([TO_NODE, failsafe]) == [False, True]


def test_a_host_endpoint_whose_own_rules_are_refused_is_left_with_its_failsafe_ports(
    clean: HostWorld,
) -> None:
    """A policy that is not there makes the firewall refuse the rule that asks it."""
    failsafe = replace(TO_NODE, destination_port=80)
    clean.program(replace(guarded(), host_endpoints={}))
    whole = guarded(normal=ALLOW)
    refused = replace(whole, policies={})
    failed = clean.driver.apply(between(clean.in_force, refused)).failed
    assert [one.subject for one in failed] == ["host endpoints"]
    assert clean.arrivals([TO_NODE, failsafe]) == [False, True]
    assert clean.driver.apply(between(refused, whole)).failed == ()
    assert clean.driver.resync().failed == ()
    assert clean.arrivals([replace(TO_NODE, destination_port=4002)]) == [True]


def test_a_refused_edit_opens_nothing(clean: HostWorld) -> None:
    """The host endpoints' chains stay as they were; a new policy's own chain is closed."""
    only_81 = Rule(Action.ALLOW, protocol=TCP, destination=PeerMatch(ports=(PortRange(81, 81),)))
    before = guarded(normal=only_81)
    clean.program(before)
    unknown = Rule(Action.ALLOW, source=PeerMatch(sets=("s:never-given",)))
    clean.driver.apply(between(before, guarded(normal=only_81, untracked=unknown)))
    is_closed = clean.firewall is Firewall.NFTABLES
    arrivals = clean.arrivals([TO_NODE, replace(TO_NODE, destination_port=82)])
    assert arrivals == [not is_closed, False]


def test_an_impossible_interface_is_named_and_the_others_are_guarded(clean: HostWorld) -> None:
    program = guarded()
    odd = HostEndpoint(HEP._replace(name="odd"), 'eth0"; -F')
    clean.program(replace(program, host_endpoints={}))
    both = replace(program, host_endpoints={**program.host_endpoints, odd.id: odd})
    failed = clean.driver.apply(between(clean.in_force, both)).failed
    assert [one.subject for one in failed] == ["odd"]
    assert clean.arrivals([TO_NODE]) == [False]


def test_what_goes_with_the_last_host_endpoint(clean: HostWorld) -> None:
    clean.program(guarded(normal=ALLOW, untracked=ALLOW, pre_dnat=ALLOW))
    mark = "cali-hep" if clean.firewall is Firewall.NFTABLES else ":cali-fh-"
    assert mark in clean.rules
    clean.program(replace(guarded(normal=ALLOW), host_endpoints={}))
    assert mark not in clean.rules
    assert "gnp/untracked " not in clean.rules
