"""Reach where nodes have no host endpoints: what one end sends, and what the other takes.

A pair's answer is what both of its sides allow. A side depends on what its own policies can tell of
the two ends, which is far less than all there is to know of them: a policy for everybody from one
namespace tells two kinds of callers apart. So a side is judged once for each such kind, and once
for each stretch of ports that its own rules cut.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tortie.net import Prefix
from tortie.net.protocols import PORT_PROTOCOLS
from tortie.policy import Direction, evaluate
from tortie.policy.program import Endpoint, EndpointId, Rule, SetId
from tortie.trace.classes import Classes, Known, nets_of
from tortie.trace.cluster import Cluster
from tortie.trace.parties import Party, Probe, fits, packet_of, pairs_of

_Answer = tuple[frozenset[Probe], ...]  # one for each pair of addresses


class _Asked(NamedTuple):
    """What one direction of an endpoint looks at."""

    number: int
    sets: frozenset[SetId]
    nets: frozenset[Prefix]
    cuts: dict[int, frozenset[int]]  # by protocol: ports at which a rule's answer may change


class Sides:
    """The answers of one cluster, each worked out when it is first needed."""

    def __init__(self, cluster: Cluster, probes: Iterable[Probe]) -> None:
        self._program = cluster.program
        self._probes = tuple(probes)
        self._free = {
            version: frozenset(probe for probe in self._probes if fits(probe, version))
            for version in (4, 6)
        }
        self._classes = Classes(cluster)
        self._known: dict[Prefix, Known] = {}
        self._asked: dict[tuple[Direction, EndpointId], _Asked] = {}
        self._numbered: dict[object, _Asked] = {}
        self._seen: dict[tuple[int, tuple[Prefix, ...]], tuple[Known, ...]] = {}
        self._answers: dict[object, _Answer] = {}
        self._both: dict[tuple[_Answer, _Answer], frozenset[Probe]] = {}

    def between(self, source: Party, destination: Party) -> frozenset[Probe]:
        """What passes from one party to another, by any of their addresses."""
        key = (
            self._side(Direction.EGRESS, source, source, destination),
            self._side(Direction.INGRESS, destination, source, destination),
        )
        if key not in self._both:
            together = [out & into for out, into in zip(*key, strict=True)]
            self._both[key] = frozenset().union(*together)
        return self._both[key]

    def _side(self, direction: Direction, own: Party, source: Party, destination: Party) -> _Answer:
        if own.endpoint is None:
            return tuple(self._free[left.version] for left, _ in pairs_of(source, destination))
        asked = self._asked_of(direction, own.endpoint)
        ends = (self._seen_of(asked, source), self._seen_of(asked, destination))
        key = (asked.number, ends)
        if key not in self._answers:
            self._answers[key] = self._judged(direction, asked, source, destination)
        return self._answers[key]

    def _judged(
        self, direction: Direction, asked: _Asked, source: Party, destination: Party
    ) -> _Answer:
        outward = direction is Direction.EGRESS
        sends = source.endpoint.id if source.endpoint and outward else None
        takes = destination.endpoint.id if destination.endpoint and not outward else None
        stretches = self._stretches(asked, destination)
        return tuple(
            frozenset(
                probe
                for alike in stretches
                if fits(alike[0], pair[0].version)
                and evaluate(self._program, packet_of(pair, alike[0], sends, takes)).allowed
                for probe in alike
            )
            for pair in pairs_of(source, destination)
        )

    def _stretches(self, asked: _Asked, destination: Party) -> Iterable[list[Probe]]:
        """Probes that this side's rules can't tell apart, for ports of this destination."""
        cuts = {protocol: set(found) for protocol, found in asked.cuts.items()}
        for known in self._seen_of(asked, destination):
            for port in known.ports:
                cuts.setdefault(port.protocol, set()).update((port.port, port.port + 1))
        edges = {protocol: sorted(found) for protocol, found in cuts.items()}
        found: defaultdict[tuple[int, int], list[Probe]] = defaultdict(list)
        for probe in self._probes:
            first = probe.ports.first if probe.ports else 0
            place = bisect_right(edges.get(probe.protocol, ()), first)
            found[probe.protocol, place].append(probe)
        return list(found.values())

    def _asked_of(self, direction: Direction, endpoint: Endpoint) -> _Asked:
        name = (direction, endpoint.id)
        if name not in self._asked:
            tiers = endpoint.egress if direction is Direction.EGRESS else endpoint.ingress
            content = (direction, tiers, endpoint.profiles)
            if content not in self._numbered:
                number = len(self._numbered)
                rules = list(self._rules(direction, endpoint))
                self._numbered[content] = _asked(number, rules)
            self._asked[name] = self._numbered[content]
        return self._asked[name]

    def _rules(self, direction: Direction, endpoint: Endpoint) -> Iterator[Rule]:
        outward = direction is Direction.EGRESS
        policies, profiles = self._program.policies, self._program.profiles
        for tier in endpoint.egress if outward else endpoint.ingress:
            for name in tier.policies:
                yield from policies[name].egress if outward else policies[name].ingress
        for profile in endpoint.profiles:
            yield from profiles[profile].egress if outward else profiles[profile].ingress

    def _seen_of(self, asked: _Asked, party: Party) -> tuple[Known, ...]:
        key = (asked.number, party.addresses)
        if key not in self._seen:
            self._seen[key] = tuple([self._part(asked, each) for each in party.addresses])
        return self._seen[key]

    def _part(self, asked: _Asked, address: Prefix) -> Known:
        """Of all there is to know of an address, what these rules look at."""
        if address not in self._known:
            self._known[address] = self._classes.known(address)
        known = self._known[address]
        ports = frozenset(port for port in known.ports if port.set in asked.sets)
        return Known(known.version, known.sets & asked.sets, known.nets & asked.nets, ports)


def _asked(number: int, rules: Iterable[Rule]) -> _Asked:
    sets: set[SetId] = set()
    nets: set[Prefix] = set()
    cuts: defaultdict[int, set[int]] = defaultdict(set)
    for rule in rules:
        sets.update(rule.set_ids)
        nets.update(nets_of(rule))
        for ports in (*rule.destination.ports, *rule.destination.not_ports):
            for protocol in PORT_PROTOCOLS if rule.protocol is None else (rule.protocol,):
                cuts[protocol] |= {ports.first, ports.last + 1}
    by_protocol = {protocol: frozenset(found) for protocol, found in cuts.items()}
    return _Asked(number, frozenset(sets), frozenset(nets), by_protocol)
