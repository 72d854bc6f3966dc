"""Who may call and answer, and the packets that are sent between them to find out."""

from collections.abc import Iterator
from typing import NamedTuple

from tortie.net import PortRange, Prefix
from tortie.net.protocols import ICMP, ICMPV6
from tortie.policy import Packet, Program
from tortie.policy.program import Endpoint, EndpointId, Rule
from tortie.trace.cluster import Cluster
from tortie.trace.ends import OUTSIDE, OUTSIDE_ADDRESSES
from tortie.trace.questions import SOURCE_PORT

_ECHO = {ICMP: 8, ICMPV6: 128}


class Party(NamedTuple):
    """One that may call or answer; `endpoint` is None and `node` "" for somebody outside."""

    name: str
    addresses: tuple[Prefix, ...]
    endpoint: Endpoint | None
    node: str = ""


class Probe(NamedTuple):
    """A stretch of ports that no rule cuts: one of them stands for all. ICMP has none."""

    protocol: int
    ports: PortRange | None = None


def parties_of(cluster: Cluster) -> list[Party]:
    """All workloads with an address, and somebody outside whom no network of a rule has."""
    endpoints = cluster.program.endpoints
    found = [
        Party(each.name, each.addresses, endpoints.get(each.endpoint), each.node)
        for each in cluster.workloads.values()
        if each.addresses
    ]
    return [*found, Party(OUTSIDE, OUTSIDE_ADDRESSES, None)]


def rules_of(program: Program) -> Iterator[Rule]:
    """Every rule of a program."""
    for policy in program.policies.values():
        yield from (*policy.ingress, *policy.egress)
    for profile in program.profiles.values():
        yield from (*profile.ingress, *profile.egress)


def pairs_of(source: Party, destination: Party) -> list[tuple[Prefix, Prefix]]:
    """Their addresses of one family each."""
    return [
        (left, right)
        for left in source.addresses
        for right in destination.addresses
        if left.version == right.version
    ]


def fits(probe: Probe, version: int) -> bool:
    """Each family has its own ICMP."""
    return {ICMP: 4, ICMPV6: 6}.get(probe.protocol, version) == version


def packet_of(
    pair: tuple[Prefix, Prefix],
    probe: Probe,
    source: EndpointId | None,
    destination: EndpointId | None,
) -> Packet:
    """What stands for all ports of the probe."""
    left, right = pair
    return Packet(
        version=left.version,
        source=left.address,
        destination=right.address,
        protocol=probe.protocol,
        source_port=SOURCE_PORT if probe.ports else None,
        destination_port=probe.ports.first if probe.ports else None,
        icmp_type=_ECHO.get(probe.protocol),
        icmp_code=0 if probe.protocol in _ECHO else None,
        source_endpoint=source,
        destination_endpoint=destination,
    )
