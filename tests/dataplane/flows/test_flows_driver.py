"""Tracked connections of real packets, after a change of policy: the evaluator says what ends."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings

from dataplane.packets import UPLINK, PacketLab, Sent
from dataplane.programming import WORKLOADS, between, every_packet, sent, whole
from strategies.programs import ENDPOINTS, HOSTS4, OUTSIDE, programs
from tortie.dataplane.flows import FlowDriver
from tortie.dataplane.flows.judging import CONNECTION_ORIENTED
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.linux.flows import Flows
from tortie.linux.netlink.ctnetlink import Flow
from tortie.net import parse_network
from tortie.policy import Packet, Program, evaluate
from tortie.policy.packet import Path
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    HostEndpoint,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
    Tiers,
)

pytestmark = pytest.mark.root

PACKETS = [one for one in every_packet() if one.source_endpoint or one.destination_endpoint]
OWN, SERVICE = parse_network("10.65.77.77"), parse_network("10.96.0.1")


@pytest.fixture(scope="module")
def lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        made.know(OUTSIDE)
        made.own(OWN)
        yield made


class World:
    """Both drivers on one node."""

    def __init__(self, lab: PacketLab) -> None:
        self.lab = lab
        lab.nft("flush", "ruleset")
        lab.forget_connections()
        chosen = NftSettings(end_denied_flows=True)
        with lab.inside():
            self.policy = NftablesDataplane(chosen)
            self.flows = FlowDriver(chosen, lambda: self.policy.desired)
            self._kernel = Flows()
        self.bit = chosen.marks.ended

    def close(self) -> None:
        for one in (self.policy, self.flows, self._kernel):
            one.close()

    def become(self, old: Program, new: Program) -> None:
        delta = between(old, new) if old != Program() else whole(new)
        with self.lab.inside():
            assert not self.policy.apply(delta).failed
            (self.flows.resync if old == Program() else self.flows.apply)(
                *([delta] if old != Program() else [])
            )

    def tracked(self) -> dict[tuple[object, ...], Flow]:
        return {key_of_flow(one): one for one in self._kernel.all()}


def key_of_flow(flow: Flow) -> tuple[object, ...]:
    one = flow.original
    kind = (one.icmp_type, one.icmp_code)
    return (flow.version, one.source, one.destination, one.protocol, *_ports(flow), *kind)


def _ports(flow: Flow) -> tuple[int | None, int | None]:
    return flow.original.source_port, flow.original.destination_port


def key_of_packet(packet: Packet) -> tuple[object, ...]:
    first = packet.before_nat
    ports = (first.source_port, first.destination_port)
    kind = (packet.icmp_type, packet.icmp_code)
    return (packet.version, packet.source, first.destination, packet.protocol, *ports, *kind)


def has_ends(packet: Packet, program: Program) -> bool:
    """Whether the packet's endpoints have its addresses in this program."""
    ends = (
        (packet.source_endpoint, packet.source),
        (packet.destination_endpoint, packet.destination),
    )
    held = {
        (name, one.version, one.address)
        for name, endpoint in program.endpoints.items()
        for one in endpoint.addresses
    }
    return all(name is None or (name, packet.version, address) in held for name, address in ends)


def test_what_ends_is_what_the_evaluator_denies(lab: PacketLab) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(programs(), programs())
    def agrees(old: Program, new: Program) -> None:
        with closing(World(lab)) as world:
            world.become(Program(), old)
            lab.deliver([sent(one) for one in PACKETS])
            before = world.tracked()
            world.become(old, new)
            after = world.tracked()
        for packet in PACKETS:
            key = key_of_packet(packet)
            if key not in before or not (has_ends(packet, old) and has_ends(packet, new)):
                continue  # connections of what left are the routes' to end
            is_denied = not evaluate(new, packet).allowed
            if packet.protocol in CONNECTION_ORIENTED:
                assert bool(after[key].mark & world.bit) is is_denied, packet
            else:
                assert (key in after) is not is_denied, packet

    agrees()


ALLOW, DENY = (Rule(Action.ALLOW),), (Rule(Action.DENY),)
GUARD = PolicyId("GlobalNetworkPolicy", "", "guard")
TIERS = (TierPolicies("default", DefaultAction.DENY, (GUARD,)),)
HOST = EndpointId("HostEndpoint", "", "uplink")


def guarded(rules: tuple[Rule, ...], host: HostEndpoint | None = None) -> Program:
    """pod-0, open but for the policy, and perhaps a host endpoint that it is asked at."""
    tiers = () if host else TIERS
    pod = Endpoint(ENDPOINTS[0], "cali0", (HOSTS4[0],), tiers, (), ("open",))
    return Program(
        endpoints={pod.id: pod},
        policies={GUARD: Policy(GUARD, "default", rules, rules)},
        profiles={"open": Profile("open", ALLOW, ALLOW)},
        host_endpoints={HOST: host} if host else {},
    )


def test_a_connection_to_a_service_is_judged_by_whom_it_reached(lab: PacketLab) -> None:
    packet = Packet(4, OUTSIDE[0].address, SERVICE.address, 6, 9, 80)
    with closing(World(lab)) as world:
        lab.nft(
            "add table ip services; add chain ip services pre "
            "{ type nat hook prerouting priority -100; }; "
            f"add rule ip services pre ip daddr {SERVICE} dnat to {str(HOSTS4[0])[:-3]}"
        )
        world.become(Program(), guarded(ALLOW))
        assert lab.deliver([Sent(UPLINK, packet)]) == [True]
        world.become(guarded(ALLOW), guarded(DENY))
        flow = world.tracked()[key_of_packet(packet)]
        assert flow.mark & world.bit
        assert lab.deliver([Sent(UPLINK, packet)]) == [False]
        world.become(guarded(DENY), guarded(ALLOW))
        flow = world.tracked()[key_of_packet(packet)]
        assert not flow.mark & world.bit


@pytest.mark.parametrize("stage", ["normal", "forward"])
def test_a_host_endpoint_ends_connections_at_its_stage(lab: PacketLab, stage: str) -> None:
    host = HostEndpoint(HOST, UPLINK, **{stage: Tiers(TIERS, TIERS)})
    to_node = Packet(4, OUTSIDE[0].address, OWN.address, 6, 9, 8080, path=Path.TO_HOST)
    to_pod = Packet(4, OUTSIDE[0].address, HOSTS4[0].address, 6, 9, 8080)
    with closing(World(lab)) as world:
        world.become(Program(), guarded(ALLOW, host))
        lab.deliver([Sent(UPLINK, to_node), Sent(UPLINK, to_pod)])
        found = world.tracked()
        assert key_of_packet(to_pod) in found
        world.become(guarded(ALLOW, host), guarded(DENY, host))
        marked = {key for key, one in world.tracked().items() if one.mark & world.bit}
    concerned = to_node if stage == "normal" else to_pod
    assert marked == {key_of_packet(concerned)} & found.keys()
    assert stage == "normal" or marked
