"""Endpoints that no rule can tell apart share their answers."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tortie.net import Prefix, mask_of
from tortie.policy.program import EndpointId, IPPort, Rule, SetId
from tortie.trace.cluster import Cluster
from tortie.trace.judging import Way, judge
from tortie.trace.parties import Party, Probe, fits, packet_of, pairs_of, rules_of


class Port(NamedTuple):
    """A port of an address that a set has."""

    set: SetId
    protocol: int
    port: int


class Known(NamedTuple):
    """What rules can tell of an address: the sets and their networks that it is in."""

    version: int
    sets: frozenset[SetId]
    nets: frozenset[Prefix]
    ports: frozenset[Port]


class Classes:
    """What rules can tell of an endpoint: what applies to it, and which sets and nets it is in."""

    def __init__(self, cluster: Cluster) -> None:
        program = cluster.program
        self._sets: defaultdict[Prefix, list[SetId]] = defaultdict(list)
        self._ports: defaultdict[Prefix, list[Port]] = defaultdict(list)
        for name, members in program.sets.items():
            for member in members:
                if isinstance(member, IPPort):
                    host = Prefix.single(member.version, member.address)
                    self._ports[host].append(Port(name, member.protocol, member.port))
                else:
                    self._sets[member].append(name)
        self._nets = {net for rule in rules_of(program) for net in nets_of(rule)}
        all_nets = self._nets | self._sets.keys()
        self._lengths = sorted({(net.version, net.length) for net in all_nets})

    def of(self, party: Party) -> object:
        """Equal for parties of one node that no rule treats otherwise."""
        endpoint = party.endpoint
        applies = (
            (endpoint.ingress, endpoint.egress, endpoint.profiles) if endpoint is not None else None
        )
        return (applies, party.node, tuple(map(self.known, party.addresses)))

    def known(self, address: Prefix) -> Known:
        """What rules can tell of an address."""
        around = list(self._around(address))
        sets = {name for net in around for name in self._sets.get(net, ())}
        nets = frozenset(net for net in around if net in self._nets)
        ports = frozenset(self._ports.get(address, ()))
        return Known(address.version, frozenset(sets), nets, ports)

    def _around(self, address: Prefix) -> Iterator[Prefix]:
        for version, length in self._lengths:
            if version == address.version:
                network = address.address & mask_of(version, length)
                yield Prefix(version, network, length)


def nets_of(rule: Rule) -> Iterator[Prefix]:
    """The networks that a rule itself names."""
    for peer in (rule.source, rule.destination):
        yield from peer.nets
        yield from peer.not_nets


class Ways:
    """Reach where nodes have host endpoints: a pair's whole way is judged, once for each class."""

    def __init__(self, cluster: Cluster, probes: Iterable[Probe]) -> None:
        self._cluster = cluster
        self._probes = tuple(probes)
        self._classes = Classes(cluster)
        self._class: dict[tuple[EndpointId | None, tuple[Prefix, ...]], object] = {}
        self._answers: dict[tuple[object, object], frozenset[Probe]] = {}

    def between(self, source: Party, destination: Party) -> frozenset[Probe]:
        """What passes from one party to another, by any of their addresses."""
        key = (self._of(source), self._of(destination))
        if key not in self._answers:
            self._answers[key] = frozenset(
                probe for probe in self._probes if self._passes(source, destination, probe)
            )
        return self._answers[key]

    def _of(self, party: Party) -> object:
        name = (party.endpoint.id if party.endpoint else None, party.addresses)
        if name not in self._class:
            self._class[name] = self._classes.of(party)
        return self._class[name]

    def _passes(self, source: Party, destination: Party, probe: Probe) -> bool:
        way = Way(source.node, destination.node)
        ends = [party.endpoint.id if party.endpoint else None for party in (source, destination)]
        return any(
            judge(self._cluster, packet_of(pair, probe, *ends), way).allowed
            for pair in pairs_of(source, destination)
            if fits(probe, pair[0].version)
        )
