"""Who reaches whom on which ports, and how that differs between two clusters.

Asking every port of every pair is out of the question and needless: verdicts change only where a
rule says so. So probes are one port of each stretch that no rule of either program cuts, and ends
that no rule can tell apart share their answers (`sides`, `classes`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from tortie.net import PortRange, protocol_name
from tortie.net.protocols import ICMP, ICMPV6, PORT_PROTOCOLS, TCP, UDP
from tortie.policy.program import IPPort, Rule
from tortie.trace.classes import Ways
from tortie.trace.cluster import Cluster
from tortie.trace.parties import Probe, parties_of, rules_of
from tortie.trace.sides import Sides

_ALL_PORTS = PortRange(1, 65535)


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
    found = Ways(cluster, probes) if cluster.has_host_endpoints else Sides(cluster, probes)
    parties = parties_of(cluster)
    for source in parties:
        for destination in parties:
            if source is destination or source.endpoint is destination.endpoint is None:
                continue
            yield Reach(source.name, destination.name, found.between(source, destination))


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
