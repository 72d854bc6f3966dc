"""What the firewall does for its node as a whole: tunnels' ends, kube-proxy in IPVS mode.

The same promises for every firewall. Real IPVS is for a kernel that has it; here a device bears its
name, and packets bear the marks that IPVS leaves alone.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from dataplane.frames import frame
from dataplane.iptables.scenes import endpoint, friends_only, nets
from dataplane.iptables.worlds import forget_everything
from dataplane.packets import UPLINK, PacketLab, Sent
from dataplane.programming import WORKLOADS, between, every_packet, sent, whole
from strategies.programs import HOSTS4, programs
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.dataplane.policy.marks import endpoint_marks
from tortie.dataplane.policy.node import IPVS_DEVICE
from tortie.dataplane.policy.settings import PolicySettings
from tortie.engine.delta import ALL_HOSTS, Delta, Encapsulation
from tortie.net import Prefix, parse_network
from tortie.policy import Packet, Program, evaluate
from tortie.policy.program import (
    Action,
    DefaultAction,
    EndpointId,
    HostEndpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
    Tiers,
)

pytestmark = pytest.mark.root

FIREWALLS = ["nftables", *(f"iptables-{one}" for one in Backend)]
OWN, NODE, STRANGER = map(parse_network, ("10.65.77.77", "203.0.113.2", "203.0.113.3"))
VIP = parse_network("10.96.0.1")
_SO_MARK = 36


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        made.own(OWN)
        made.know([NODE, STRANGER])
        yield made


@pytest.fixture(params=FIREWALLS)
def firewall(request: pytest.FixtureRequest) -> str:
    return request.param


def made(lab: PacketLab, firewall: str, **changes: object):
    """A driver of this firewall, and its settings."""
    family, _, backend = firewall.partition("-")
    with lab.inside():
        if family == "nftables":
            return NftablesDataplane(NftSettings(**changes))
        return IptablesDataplane(IptablesSettings(backend=Backend(backend), **changes))


def marks_of(firewall: str) -> PolicySettings:
    return NftSettings() if firewall == "nftables" else IptablesSettings()


@pytest.fixture
def lab(shared_lab: PacketLab) -> Iterator[PacketLab]:
    forget_everything(shared_lab)
    shared_lab.forget_connections()
    yield shared_lab
    without_kube_proxy(shared_lab)


def with_kube_proxy(lab: PacketLab) -> None:
    lab.ip(
        f"link add {IPVS_DEVICE} type veth peer name kube-other",
        f"address add {VIP} dev {IPVS_DEVICE}",
    )


def without_kube_proxy(lab: PacketLab) -> None:
    with lab.inside():
        names = [name for _, name in socket.if_nameindex()]
    if IPVS_DEVICE in names:
        lab.ip(f"link delete {IPVS_DEVICE}")


def watched(lab: PacketLab, *matches: str) -> None:
    """Count what reaches the node itself, behind our rules."""
    lab.nft("add table ip watch")
    lab.nft("add chain ip watch in { type filter hook input priority 10; }")
    for match in matches:
        lab.nft(f"add rule ip watch in {match} counter drop")


def counts(lab: PacketLab) -> list[int]:
    lines = lab.nft("list", "chain", "ip", "watch", "in").splitlines()
    return [int(one.partition("packets ")[2].split()[0]) for one in lines if "packets" in one]


ENDS = {
    "vxlan": (Encapsulation(vxlan=True), "udp dport 4789", Packet(4, 0, 0, 17, 1000, 4789)),
    "ipip": (Encapsulation(ipip=True), "meta l4proto 4", Packet(4, 0, 0, 4)),
}


@pytest.mark.parametrize("tunnel", ENDS)
def test_packets_of_a_tunnel_are_taken_from_nodes_only_while_it_is_in_use(
    lab: PacketLab, firewall: str, tunnel: str
) -> None:
    """Whoever else could send one would speak with the address of any workload."""
    encapsulation, match, packet = ENDS[tunnel]
    to_node = replace(packet, source=NODE.address, destination=OWN.address)
    both = [Sent(UPLINK, to_node), Sent(UPLINK, replace(to_node, source=STRANGER.address))]
    watched(lab, match)
    delta = friends_only()
    delta = replace(delta, sets={**delta.sets, ALL_HOSTS: nets(NODE)})
    with made(lab, firewall) as driver:
        assert not driver.apply(delta).failed
        lab.deliver(both)
        assert counts(lab) == [2]  # somebody else's tunnel: none of our business
        assert not driver.apply(Delta(encapsulation=encapsulation)).failed
        lab.deliver(both)
        assert counts(lab) == [3]
        assert not driver.apply(Delta(encapsulation=Encapsulation())).failed
        lab.deliver(both)
        assert counts(lab) == [5]


@pytest.mark.parametrize("port", [None, 51820])
def test_nodes_reach_tunnels_whatever_host_endpoints_say(
    lab: PacketLab, firewall: str, port: int | None
) -> None:
    """IPIP, and WireGuard, where its port is told."""
    host = HostEndpoint(EndpointId("HostEndpoint", "", "all"), "*")
    packet = Packet(4, NODE.address, OWN.address, 4)
    if port:
        packet = replace(packet, protocol=17, source_port=port, destination_port=port)
    watched(lab, "meta l4proto 4" if port is None else f"udp dport {port}")
    delta = friends_only()
    delta = replace(
        delta,
        sets={**delta.sets, ALL_HOSTS: nets(NODE)},
        host_endpoints={host.id: host},
        encapsulation=Encapsulation(ipip=True),
    )
    with made(lab, firewall, wireguard_port=port or 0) as driver:
        assert not driver.apply(delta).failed
        stranger = replace(packet, source=STRANGER.address)
        lab.deliver([Sent(UPLINK, stranger)])
        assert counts(lab) == [0]
        lab.deliver([Sent(UPLINK, packet)])
        assert counts(lab) == [1]


def mark_match(firewall: str, interface: str | None) -> str:
    """What nft says of packets with the mark of an interface, or of others (None)."""
    found = endpoint_marks(WORKLOADS, marks_of(firewall).marks.endpoints)
    mark = found.others if interface is None else found.marks[interface]
    return f"meta mark and {found.mask:#x} == {mark:#x}"


PASSING = {
    "a workload's to a service": (
        Sent("cali0", Packet(4, HOSTS4[0].address, VIP.address, 6, 9, 80)),
        "cali0",
    ),
    "another one's": (Sent("cali2", Packet(4, HOSTS4[2].address, VIP.address, 17, 9, 53)), "cali2"),
    "from outside": (Sent(UPLINK, Packet(4, NODE.address, VIP.address, 6, 9, 443)), None),
    "to a node port": (Sent(UPLINK, Packet(4, NODE.address, OWN.address, 6, 9, 30080)), None),
}


@pytest.mark.parametrize("what", PASSING)
def test_what_passes_through_services_is_marked_by_where_it_came_from(
    lab: PacketLab, firewall: str, what: str
) -> None:
    packet, interface = PASSING[what]
    watched(lab, mark_match(firewall, interface))
    with_kube_proxy(lab)
    with made(lab, firewall) as driver:
        assert not driver.apply(everybody(4)).failed
        lab.deliver([packet])
        assert counts(lab) == [1]
        without_kube_proxy(lab)  # another mode of kube-proxy, while all runs
        assert not driver.links_changed().failed
        lab.own(VIP)
        lab.forget_connections()
        lab.deliver([packet])
        assert counts(lab) == [1]
        lab.ip(f"address delete {VIP} dev {UPLINK}")


def everybody(count: int) -> Delta:
    """So many workloads, all open."""
    allow = (Rule(Action.ALLOW),)
    found = [endpoint(number, profiles=("open",)) for number in range(count)]
    base = friends_only()
    return replace(
        base,
        policies={},
        profiles={"open": Profile("open", allow, allow)},
        endpoints={one.id: one for one in found},
    )


def test_what_ends_at_the_node_is_not_taken_for_what_passes(lab: PacketLab, firewall: str) -> None:
    """Its own address, on a port that is none of services'; and what everybody hears."""
    watched(lab, f"meta mark and {marks_of(firewall).marks.endpoints:#x} != 0")
    with_kube_proxy(lab)
    with made(lab, firewall) as driver:
        driver.apply(everybody(4))
        to_own = Packet(4, NODE.address, OWN.address, 6, 9, 22)
        to_all = Packet(4, NODE.address, 0xE0000001, 17, 9, 30080)
        lab.deliver([Sent(UPLINK, to_own), Sent(UPLINK, to_all)])
        assert counts(lab) == [0]


def leaves(lab: PacketLab, packets: list[Packet], mark: int) -> list[bool]:
    """Send packets out of the node itself with a mark, as IPVS does; whether each leaves it."""
    with lab.inside():
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with closing(sender):
        sender.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark.to_bytes(4, sys.byteorder))
        tokens = []
        for packet in packets:
            tokens.append(lab._token())
            data = frame(packet, bytes(6), bytes(6), tokens[-1])[14:]
            with suppress(PermissionError):  # dropped in OUTPUT: the sender is told
                sender.sendto(data, (str(Prefix.single(4, packet.destination))[:-3], 0))
    seen = lab._seen()
    return [token in seen for token in tokens]


SOME = [
    one
    for one in every_packet()
    if one.version == 4 and one.source_endpoint and one.destination_endpoint and one.protocol == 17
][::3]


def test_policy_is_asked_of_what_services_send_on(lab: PacketLab, firewall: str) -> None:
    """As of what is forwarded: the evaluator says so of generated programs."""
    with_kube_proxy(lab)
    found = endpoint_marks(WORKLOADS, marks_of(firewall).marks.endpoints)

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(programs())
    def agrees(program: Program) -> None:
        known = {one.interface for one in program.endpoints.values()}
        marks = endpoint_marks(known, found.mask).marks
        with made(lab, firewall) as driver:
            assert not driver.apply(whole(program)).failed
            for interface, mark in marks.items():
                mine = [one for one in SOME if sent(one).link == interface]
                owned = [one for one in mine if one.destination_endpoint in program.endpoints]
                lab.forget_connections()
                expected = [evaluate(program, one).allowed for one in owned]
                assert leaves(lab, owned, mark) == expected
            assert not driver.apply(between(program, Program())).failed

    agrees()


def test_the_mark_of_nobody_gets_nowhere_and_the_node_itself_everywhere(
    lab: PacketLab, firewall: str
) -> None:
    with_kube_proxy(lab)
    mask = marks_of(firewall).marks.endpoints
    known = endpoint_marks([f"cali{n}" for n in range(4)], mask)
    nobody = next(
        mask & -mask | bit
        for bit in (0, *(1 << n for n in range(32) if mask >> n & 1))
        if (mask & -mask | bit) not in (*known.marks.values(), known.others)
    )
    packet = Packet(4, HOSTS4[2].address, HOSTS4[0].address, 17, 9, 99)
    with made(lab, firewall) as driver:
        driver.apply(everybody(4))
        assert leaves(lab, [packet], nobody) == [False]
        assert leaves(lab, [replace(packet, source_port=10)], known.marks["cali2"]) == [True]
        assert leaves(lab, [replace(packet, source_port=11)], 0) == [True]


def test_host_endpoints_are_asked_of_what_passes_by_forward_policy_alone(
    lab: PacketLab, firewall: str
) -> None:
    """What comes in for a service and leaves for a workload is no packet of the node's own."""
    forward = PolicyId("GlobalNetworkPolicy", "", "forward")
    rules = (
        Rule(Action.DENY, protocol=17, source=PeerMatch(nets=(STRANGER,))),
        Rule(Action.ALLOW),
    )
    tiers = Tiers((TierPolicies("default", DefaultAction.DENY, (forward,)),), ())
    host = HostEndpoint(EndpointId("HostEndpoint", "", "all"), "*", forward=tiers)
    delta = everybody(4)
    delta = replace(
        delta,
        policies={forward: Policy(forward, "default", rules)},
        host_endpoints={host.id: host},
    )
    with_kube_proxy(lab)
    others = marks_of(firewall).marks.endpoints
    packet = Packet(4, NODE.address, HOSTS4[0].address, 17, 9, 99)
    with made(lab, firewall) as driver:
        assert not driver.apply(delta).failed
        assert leaves(lab, [packet], others) == [True]
        assert leaves(lab, [replace(packet, source=STRANGER.address)], others) == [False]
        assert leaves(lab, [replace(packet, destination=NODE.address)], 0) == [False]
