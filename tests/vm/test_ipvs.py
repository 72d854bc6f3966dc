"""kube-proxy in IPVS mode: what its services lead to has the policy of both ends.

As kube-proxy sets it up: kube-ipvs0 has the services' addresses, IPVS leads to workloads of this
node and of others, and knows connection tracking. Each service has one end, so that it is known
whose policy a packet gets.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from dataplane.hostlab import FAR, NODE, HostLab
from dataplane.packets import UPLINK, Sent
from dataplane.programming import between, whole
from dataplane.proof.firewalls import Driver, Firewall, rules_of, wipe
from dataplane.proof.world import NODES_LINKS, World, prepared
from strategies.everything import program_of
from strategies.host_programs import FAILSAFES
from strategies.loose_programs import with_open_peer
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE
from tortie.dataplane.nftables import NftSettings
from tortie.net import PortRange, Prefix, parse_network
from tortie.net.protocols import TCP, UDP
from tortie.policy import Packet, Program, ToHost, evaluate
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

pytestmark = [pytest.mark.root, pytest.mark.vm("dummy", "ip_vs", "ip_vs_rr")]

PROGRAMS = int(os.environ.get("TORTIE_PROGRAMS", "3"))
NODE_PORT = 30080  # of KubeNodePortRanges
CLUSTER = {4: "10.96.0.", 6: "fd00:96::"}


class Service(NamedTuple):
    """An address and port whose packets go to one workload, here or on another node."""

    address: Prefix
    port: int
    to: Prefix
    to_port: int


def _services(version: int) -> list[Service]:
    is_v6 = version == 6
    hosts, outside = (HOSTS6, FAR[1]) if is_v6 else (HOSTS4, FAR[0])
    ends = [*hosts[1:4], outside]
    clusters = [parse_network(f"{CLUSTER[version]}{n}") for n in range(10, 10 + len(ends))]
    found = [Service(own, 80, to, 8080) for own, to in zip(clusters, ends, strict=True)]
    node = NODE[is_v6]
    return found + [Service(node, NODE_PORT + n, to, 8080) for n, to in enumerate(ends)]


SERVICES = [*_services(4), *_services(6)]
OWNERS = {(one.version, one.address): n for n in range(4) for one in (HOSTS4[n], HOSTS6[n])}


def _packets() -> Iterator[Packet]:
    """The first packet of a connection from everywhere to every service but one's own."""
    for number, service in enumerate(SERVICES):
        is_v6 = service.to.version == 6
        hosts = HOSTS6 if is_v6 else HOSTS4
        for source in (*hosts[:4], OUTSIDE[is_v6]):
            if source == service.to:
                continue  # kube-proxy would have it masqueraded
            for protocol in (TCP, UDP):
                yield Packet(
                    service.to.version,
                    source.address,
                    service.to.address,
                    protocol,
                    40000 + number,
                    service.to_port,
                    source_endpoint=_pod(source),
                    destination_endpoint=_pod(service.to),
                    first_destination=service.address.address,
                    first_destination_port=service.port,
                )


def _pod(address: Prefix) -> EndpointId | None:
    number = OWNERS.get((address.version, address.address))
    return None if number is None else ENDPOINTS[number]


PACKETS = list(_packets())


def kube_proxy(lab: HostLab) -> None:
    """What kube-proxy does when it starts in this mode."""
    with lab.inside(), open("/proc/sys/net/ipv4/vs/conntrack", "w") as file:
        file.write("1")
    lab.ip("link add kube-ipvs0 type dummy")
    for one in SERVICES:
        if one.address not in NODE:
            lab.ip(
                f"address add {one.address} dev kube-ipvs0 {'nodad' if one.to.version == 6 else ''}"
            )
    lines = []
    for one in SERVICES:
        for kind in ("-t", "-u"):
            lines.append(f"-A {kind} {_end(one.address, one.port)} -s rr")
            lines.append(
                f"-a {kind} {_end(one.address, one.port)} -r {_end(one.to, one.to_port)} -m"
            )
    with lab.inside():
        subprocess.run(["ipvsadm", "-R"], input="\n".join(lines), text=True, check=True)


def _end(address: Prefix, port: int) -> str:
    host = str(address).partition("/")[0]
    return f"[{host}]:{port}" if address.version == 6 else f"{host}:{port}"


def _link(packet: Packet) -> str:
    if packet.source_endpoint is None:
        return UPLINK
    return f"cali{ENDPOINTS.index(packet.source_endpoint)}"


@pytest.fixture(scope="module")
def lab() -> Iterator[HostLab]:
    with HostLab() as made:
        yield prepared(made)


@pytest.fixture(params=list(Firewall))
def firewall(request: pytest.FixtureRequest, lab: HostLab) -> Iterator[Firewall]:
    wipe(lab)
    lab.forget_connections()
    yield request.param
    wipe(lab)
    with lab.inside():
        subprocess.run(["ipvsadm", "--clear"], check=True)
    with suppress(RuntimeError):  # it is gone already
        lab.ip("link delete kube-ipvs0")


def _delivered(lab: HostLab, packets: list[Packet]) -> list[bool]:
    lab.forget_connections()
    return lab.deliver(Sent(_link(one), one.before_nat) for one in packets)


@contextmanager
def guarding(lab: HostLab, firewall: Firewall) -> Iterator[Driver]:
    """A driver with `_program()` in force."""
    with lab.inside():
        driver = firewall.driver(NftSettings(failsafes=FAILSAFES))
    with driver:
        driver.fold(whole(_program()))
        assert driver.resync().failed == ()
        yield driver


def test_packets_to_services_get_the_verdict_of_the_evaluator(
    lab: HostLab, firewall: Firewall
) -> None:
    kube_proxy(lab)
    assert all(_delivered(lab, PACKETS))  # where nothing guards
    world = World(lab, firewall, ToHost.DROP)
    try:
        for seed in range(PROGRAMS):
            program = with_open_peer(program_of(seed, NODES_LINKS))
            program = replace(program, failsafes=FAILSAFES, to_host=ToHost.DROP)
            wrong = world.disagreements(program, PACKETS)
            assert not wrong, f"of seed {seed}: {wrong[0]}"
    finally:
        world.close()


ALLOW, DENY = Rule(Action.ALLOW), Rule(Action.DENY)
HOST = EndpointId("HostEndpoint", "", "node-uplink")
DENY_NODE_PORT = Rule(
    Action.DENY, protocol=UDP, destination=PeerMatch(ports=(PortRange(30000, 32767),))
)
DENY_END = replace(DENY_NODE_PORT, destination=PeerMatch(ports=(PortRange(8080, 8080),)))


def _program(**stages: Rule) -> Program:
    """pod-3 allows everything; the host endpoint of the uplink has one rule in each stage named."""
    policies, tiers = {}, {}
    for stage, rule in stages.items():
        name = PolicyId("GlobalNetworkPolicy", "", stage)
        policies[name] = Policy(name, "default", (rule, ALLOW), (rule, ALLOW))
        asked = (TierPolicies("default", DefaultAction.DENY, (name,)),)
        tiers[stage] = Tiers(asked, () if stage == "pre_dnat" else asked)
    program = with_open_peer(Program(policies=policies, failsafes=FAILSAFES))
    return replace(program, host_endpoints={HOST: HostEndpoint(HOST, UPLINK, (), **tiers)})


TO_NODE_PORT = next(
    one
    for one in PACKETS
    if (one.source_endpoint, one.destination_endpoint) == (None, ENDPOINTS[3])
    and (one.protocol, one.first_destination) == (UDP, NODE[0].address)
)


STAGES: list[tuple[dict[str, Rule], bool]] = [
    ({}, True),
    ({"normal": DENY}, True),  # which is about what ends at the node
    ({"pre_dnat": DENY_NODE_PORT}, False),
    ({"pre_dnat": DENY_END}, True),  # not yet translated
    ({"forward": DENY_END}, False),
    ({"forward": DENY_NODE_PORT}, True),  # translated already
    ({"pre_dnat": ALLOW, "forward": DENY}, True),
]


def test_a_host_endpoint_is_asked_for_node_ports_as_for_what_passes_through(
    lab: HostLab, firewall: Firewall
) -> None:
    kube_proxy(lab)
    seen = []
    with guarding(lab, firewall) as driver:
        before = _program()
        for stages, _ in STAGES:
            program = _program(**stages)
            assert driver.apply(between(before, program)).failed == ()
            seen += _delivered(lab, [TO_NODE_PORT])
            packet = replace(TO_NODE_PORT, entered=HOST)
            assert evaluate(program, packet).allowed == seen[-1], stages
            before = program
    assert seen == [passes for _, passes in STAGES]


def test_kube_proxy_may_change_its_mode_and_back(lab: HostLab, firewall: Firewall) -> None:
    """The agent hears of kube-ipvs0 as of any interface."""
    to_service = [one for one in PACKETS if one.destination_endpoint == ENDPOINTS[3]]
    allowed = [one.source_endpoint is None for one in to_service]  # other workloads have no policy
    with guarding(lab, firewall) as driver:
        before = _rules(lab, firewall)
        kube_proxy(lab)
        assert driver.links_changed().failed == ()
        assert _delivered(lab, to_service) == allowed
        lab.ip("link delete kube-ipvs0")
        assert driver.links_changed().failed == ()
        assert _rules(lab, firewall) == before


def _rules(lab: HostLab, firewall: Firewall) -> list[str]:
    """All that is in force, without counters and dates."""
    lines = rules_of(lab, firewall).splitlines()
    return [re.sub(r"\[\d+:\d+\]", "", one) for one in lines if not one.startswith("#")]


def test_answers_come_back_from_the_service(lab: HostLab, firewall: Firewall) -> None:
    kube_proxy(lab)
    with guarding(lab, firewall):
        assert _delivered(lab, [TO_NODE_PORT]) == [True]
        answer = replace(
            TO_NODE_PORT,
            source=TO_NODE_PORT.destination,
            source_port=TO_NODE_PORT.destination_port,
            destination=TO_NODE_PORT.source,
            destination_port=TO_NODE_PORT.source_port,
        )
        assert lab.sources_seen([Sent("cali3", answer)]) == [TO_NODE_PORT.first_destination]
