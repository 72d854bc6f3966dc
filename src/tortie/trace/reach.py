"""Who reaches whom on which ports, and how that differs between two clusters.

Asking every port of every pair is out of the question and needless: verdicts change only where a
rule says so. So `Probes` takes one port of each stretch that no rule of either program cuts, and
endpoints that no rule can tell apart (`Classes`) share their answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from tortie.net import PortRange, Prefix, mask_of, protocol_name
from tortie.net.protocols import ICMP, ICMPV6, PORT_PROTOCOLS, TCP, UDP
from tortie.policy import Packet, Program
from tortie.policy.program import Endpoint, IPPort, PeerMatch, Rule, SetId
from tortie.trace.cluster import Cluster
from tortie.trace.judging import Way, judge
from tortie.trace.questions import SOURCE_PORT

_ALL_PORTS = PortRange(1, 65535)
_ECHO = {ICMP: 8, ICMPV6: 128}
OUTSIDE = "outside"
OUTSIDE_ADDRESSES = (
    Prefix.single(4, 203 << 24 | 113 << 8 | 1),
    Prefix.single(6, 0x20010DB8 << 96 | 1),
)


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


class Reach(NamedTuple):
    """What one party may open to another."""

    source: str
    destination: str
    probes: frozenset[Probe]


class Change(NamedTuple):
    """A pair whose reach differs."""

    source: str
    destination: str
    gained: frozenset[Probe]
    lost: frozenset[Probe]


def differences(before: Cluster, after: Cluster) -> list[Change]:
    """Every pair of workloads, and of one with the outside, that gains or loses reach."""
    probes = probes_of(chain(rules_of(before.program), rules_of(after.program)), before, after)
    old = {(each.source, each.destination): each.probes for each in reach(before, probes)}
    new = {(each.source, each.destination): each.probes for each in reach(after, probes)}
    found = []
    for pair in sorted(old.keys() | new.keys()):
        was, now = old.get(pair, frozenset()), new.get(pair, frozenset())
        if was != now:
            found.append(Change(*pair, gained=now - was, lost=was - now))
    return found


def reach(cluster: Cluster, probes: Iterable[Probe]) -> Iterator[Reach]:
    """What every party may open to every other."""
    probes = tuple(probes)
    classes = _Classes(cluster)
    known: dict[tuple[object, object], frozenset[Probe]] = {}
    parties = parties_of(cluster)
    keys = [classes.of(party) for party in parties]
    for source, left in zip(parties, keys, strict=True):
        for destination, right in zip(parties, keys, strict=True):
            if source is destination or source.endpoint is destination.endpoint is None:
                continue
            if (left, right) not in known:
                known[left, right] = _allowed(cluster, source, destination, probes)
            yield Reach(source.name, destination.name, known[left, right])


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


def probes_of(rules: Iterable[Rule], *clusters: Cluster) -> tuple[Probe, ...]:
    """One probe for each stretch of destination ports that some rule tells from its neighbours."""
    cuts: defaultdict[int, set[int]] = defaultdict(set)
    protocols = {TCP, UDP}
    for rule in rules:
        protocols |= {number for number in (rule.protocol, rule.not_protocol) if number}
        for ports in (*rule.destination.ports, *rule.destination.not_ports):
            for protocol in PORT_PROTOCOLS if rule.protocol is None else (rule.protocol,):
                cuts[protocol] |= {ports.first, ports.last + 1}
    for number in chain.from_iterable(map(_set_ports, clusters)):
        cuts[number.protocol] |= {number.port, number.port + 1}
    found = [Probe(ICMP), Probe(ICMPV6)]
    for protocol in sorted(protocols - {ICMP, ICMPV6}):
        if protocol in PORT_PROTOCOLS:
            found += [Probe(protocol, stretch) for stretch in _stretches(cuts[protocol])]
        else:
            found.append(Probe(protocol))
    return tuple(found)


def _set_ports(cluster: Cluster) -> Iterator[IPPort]:
    for members in cluster.program.sets.values():
        yield from (member for member in members if isinstance(member, IPPort))


def _stretches(cuts: Iterable[int]) -> Iterator[PortRange]:
    first, last = _ALL_PORTS
    edges = sorted({first, last + 1, *(cut for cut in cuts if first < cut <= last)})
    for begin, end in pairwise(edges):
        yield PortRange(begin, end - 1)


def _allowed(
    cluster: Cluster, source: Party, destination: Party, probes: Iterable[Probe]
) -> frozenset[Probe]:
    way = Way(source.node, destination.node)
    return frozenset(
        probe
        for probe in probes
        if any(
            judge(cluster, packet, way).allowed for packet in _packets(source, destination, probe)
        )
    )


def _packets(source: Party, destination: Party, probe: Probe) -> Iterator[Packet]:
    """One for each family that both have; reach in any of them counts."""
    for left in source.addresses:
        for right in destination.addresses:
            if left.version == right.version == _version(probe, left.version):
                yield Packet(
                    version=left.version,
                    source=left.address,
                    destination=right.address,
                    protocol=probe.protocol,
                    source_port=SOURCE_PORT if probe.ports else None,
                    destination_port=probe.ports.first if probe.ports else None,
                    icmp_type=_ECHO.get(probe.protocol),
                    icmp_code=0 if probe.protocol in _ECHO else None,
                    source_endpoint=source.endpoint.id if source.endpoint else None,
                    destination_endpoint=destination.endpoint.id if destination.endpoint else None,
                )


def _version(probe: Probe, version: int) -> int:
    return {ICMP: 4, ICMPV6: 6}.get(probe.protocol, version)


class _Classes:
    """What rules can tell of an endpoint: what applies to it, and which sets and nets it is in."""

    def __init__(self, cluster: Cluster) -> None:
        program = cluster.program
        self._has_hosts = len(cluster.programs) > 1
        self._sets: defaultdict[Prefix, list[SetId]] = defaultdict(list)
        self._ports: defaultdict[Prefix, list[tuple[SetId, int, int]]] = defaultdict(list)
        for name, members in program.sets.items():
            for member in members:
                if isinstance(member, IPPort):
                    host = Prefix.single(member.version, member.address)
                    self._ports[host].append((name, member.protocol, member.port))
                else:
                    self._sets[member].append(name)
        nets = {net for rule in rules_of(program) for net in _nets(rule)}
        self._nets = nets | self._sets.keys()
        self._lengths = sorted({(net.version, net.length) for net in self._nets})

    def of(self, party: Party) -> object:
        """Equal for parties that no rule treats otherwise."""
        endpoint = party.endpoint
        applies = (
            (endpoint.ingress, endpoint.egress, endpoint.profiles) if endpoint is not None else None
        )
        node = party.node if self._has_hosts else ""  # with host endpoints, the way counts too
        return (applies, node, tuple(map(self._known, sorted(party.addresses))))

    def _known(self, address: Prefix) -> object:
        around = [net for net in self._around(address) if net in self._nets]
        sets = {name for net in around for name in self._sets.get(net, ())}
        nets = frozenset(net for net in around if not net.is_single or net not in self._sets)
        ports = frozenset(self._ports.get(address, ()))
        return (address.version, frozenset(sets), nets, ports)

    def _around(self, address: Prefix) -> Iterator[Prefix]:
        for version, length in self._lengths:
            if version == address.version:
                network = address.address & mask_of(version, length)
                yield Prefix(version, network, length)


def _nets(rule: Rule) -> Iterator[Prefix]:
    for peer in (rule.source, rule.destination):
        yield from _peer_nets(peer)


def _peer_nets(peer: PeerMatch) -> Iterator[Prefix]:
    yield from peer.nets
    yield from peer.not_nets


def as_words(probes: Iterable[Probe]) -> str:
    """ "80,443/tcp, udp, icmp": stretches that touch are one, all ports are the protocol alone."""
    ports: defaultdict[int, list[PortRange]] = defaultdict(list)
    words = []
    for probe in sorted(probes, key=lambda each: (each.protocol, each.ports or ())):
        if probe.ports is None:
            words.append(protocol_name(probe.protocol).lower())
        else:
            ports[probe.protocol].append(probe.ports)
    for protocol, stretches in ports.items():
        words.append(_ports_word(protocol, _joined(stretches)))
    return ", ".join(words)


def _ports_word(protocol: int, stretches: list[PortRange]) -> str:
    name = protocol_name(protocol).lower()
    if stretches == [_ALL_PORTS]:
        return name
    shown = ",".join(str(each).replace(":", "-") for each in stretches)
    return f"{shown}/{name}"


def _joined(stretches: Iterable[PortRange]) -> list[PortRange]:
    found: list[PortRange] = []
    for each in sorted(stretches):
        if found and found[-1].last + 1 == each.first:
            found[-1] = PortRange(found[-1].first, each.last)
        else:
            found.append(each)
    return found
