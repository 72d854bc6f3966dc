"""Reach as told for stretches of ports and classes of endpoints is what single packets say."""

from itertools import pairwise

from hypothesis import given, settings

from strategies import clusters
from tortie.api.manifests import read_manifests
from tortie.net import PortRange, Prefix
from tortie.net.protocols import ICMP, ICMPV6, TCP, UDP
from tortie.policy import Packet
from tortie.trace.classes import Ways
from tortie.trace.cluster import Cluster, cluster_of
from tortie.trace.judging import Way, judge
from tortie.trace.parties import Party, Probe, parties_of, rules_of
from tortie.trace.reach import as_words, differences, probes_of, reach
from tortie.trace.sides import Sides

ONE_ADDRESS = """
apiVersion: v1
kind: Namespace
metadata: {name: a}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: default.p, namespace: a}
spec:
  selector: has(db)
  ingress:
  - {action: Deny, source: {nets: [10.0.0.7/32]}}
  - {action: Allow, source: {selector: all()}}
""" + "".join(
    f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: a, labels: {{{name}: here}}}}
spec: {{nodeName: n1, containers: [{{name: c}}]}}
status: {{podIP: {address}}}
"""
    for name, address in (("other", "10.0.0.6"), ("denied", "10.0.0.7"), ("db", "10.0.0.8"))
)


def cluster(history: list) -> Cluster:
    return cluster_of(clusters.final(history).values())


def packet(source: Party, destination: Party, left: Prefix, right: Prefix, probe: Probe) -> Packet:
    """As `reach` sends it, but with the last port of a stretch rather than the first."""
    echo = {ICMP: 8, ICMPV6: 128}.get(probe.protocol)
    return Packet(
        version=left.version,
        source=left.address,
        destination=right.address,
        protocol=probe.protocol,
        source_port=50_000 if probe.ports else None,
        destination_port=probe.ports.last if probe.ports else None,
        icmp_type=echo,
        icmp_code=None if echo is None else 0,
        source_endpoint=source.endpoint.id if source.endpoint else None,
        destination_endpoint=destination.endpoint.id if destination.endpoint else None,
    )


def passes(found: Cluster, source: Party, destination: Party, probe: Probe) -> bool:
    families = {ICMP: (4,), ICMPV6: (6,)}.get(probe.protocol, (4, 6))
    way = Way(source.node, destination.node)
    return any(
        judge(found, packet(source, destination, left, right, probe), way).allowed
        for left in source.addresses
        for right in destination.addresses
        if left.version == right.version and left.version in families
    )


@settings(deadline=None)
@given(clusters.histories(clusters.policy_inputs))
def test_every_pair_has_the_reach_that_its_own_packets_have(history: list) -> None:
    found = cluster(history)
    probes = probes_of(rules_of(found.program), found)
    parties = {party.name: party for party in parties_of(found)}
    for told in reach(found, probes):
        source, destination = parties[told.source], parties[told.destination]
        expected = {probe for probe in probes if passes(found, source, destination, probe)}
        assert told.probes == expected


@settings(deadline=None)
@given(clusters.histories(clusters.policy_inputs))
def test_both_ways_to_find_reach_agree(history: list) -> None:
    resources = clusters.final(history).values()
    found = cluster_of(each for each in resources if each.kind != "HostEndpoint")
    probes = probes_of(rules_of(found.program), found)
    ways, sides = Ways(found, probes), Sides(found, probes)
    for source in parties_of(found):
        for destination in parties_of(found):
            if source.endpoint or destination.endpoint:
                expected = sides.between(source, destination)
                assert ways.between(source, destination) == expected


def test_an_address_that_a_rule_names_is_told_from_others_of_its_sets() -> None:
    found = cluster_of(resource for resource, _ in read_manifests("x.yaml", ONE_ADDRESS).resources)
    probes = probes_of(rules_of(found.program), found)
    parties = {party.name: party for party in parties_of(found)}
    for kind in (Ways, Sides):
        between = kind(found, probes).between
        assert not between(parties["a/denied"], parties["a/db"])
        assert between(parties["a/other"], parties["a/db"])


@settings(deadline=None)
@given(clusters.histories(clusters.policy_inputs))
def test_stretches_cover_every_port_once(history: list) -> None:
    found = cluster(history)
    probes = probes_of(rules_of(found.program), found)
    for protocol in (TCP, UDP):
        stretches = sorted(p.ports for p in probes if p.protocol == protocol and p.ports)
        assert (stretches[0].first, stretches[-1].last) == (1, 65535)
        assert all(a.last + 1 == b.first for a, b in pairwise(stretches))


@settings(deadline=None)
@given(clusters.histories(clusters.policy_inputs), clusters.histories(clusters.policy_inputs))
def test_a_difference_is_told_once_and_only_where_there_is_one(one: list, other: list) -> None:
    before, after = cluster(one), cluster(other)
    assert differences(before, before) == []
    changes = differences(before, after)
    back = differences(after, before)
    assert [(c.source, c.destination, c.lost, c.gained) for c in changes] == [
        (c.source, c.destination, c.gained, c.lost) for c in back
    ]
    for change in changes:
        assert change.gained or change.lost
        assert not change.gained & change.lost


def test_words_join_neighbours_and_call_all_ports_by_the_protocol() -> None:
    whole = [Probe(TCP, PortRange(1, 79)), Probe(TCP, PortRange(80, 65535))]
    assert as_words(whole) == "tcp"
    parts = [Probe(UDP, PortRange(53, 53)), Probe(UDP, PortRange(54, 60)), Probe(ICMP)]
    assert as_words(parts) == "icmp, 53-60/udp"
    assert as_words([Probe(TCP, PortRange(80, 80)), Probe(TCP, PortRange(443, 443))]) == (
        "80,443/tcp"
    )
    assert as_words([]) == ""
