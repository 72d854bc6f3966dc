"""The rules of limits, classes and floating addresses: as text, as bytes, and what changes them."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from msgspec.structs import replace

from dataplane.programming import FIXED
from dataplane.test_nftables_listing import Pens
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6
from tortie.api.calico.workload_endpoint import QosControls
from tortie.dataplane.iptables import limits as iptables_limits
from tortie.dataplane.iptables.floating import floating_chains
from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.nftables import floating as nftables_floating
from tortie.dataplane.nftables import limits as nftables_limits
from tortie.dataplane.nftables.terms import line_text
from tortie.dataplane.policy.dscp import sources_by_class
from tortie.dataplane.policy.families import IPV4, IPV6
from tortie.dataplane.policy.floating import translations
from tortie.dataplane.policy.names import UnsafeName
from tortie.engine.delta import Delta
from tortie.net import parse_network, parse_prefix
from tortie.policy.program import AddressPair, Endpoint, EndpointId, HostEndpoint

FLOATING4 = [parse_network(one) for one in ("203.0.113.9", "203.0.113.5")]
FLOATING6 = parse_network("2001:db8::5")
POD = Endpoint(
    id=ENDPOINTS[0],
    interface="cali0",
    addresses=(HOSTS4[0], HOSTS6[0]),
    floating=(
        *(AddressPair(one, HOSTS4[0]) for one in FLOATING4),
        AddressPair(FLOATING6, HOSTS6[0]),
    ),
    qos=QosControls(
        ingress_packet_rate=100,
        ingress_packet_burst=20,
        egress_max_connections=7,
        dscp=46,
    ),
)
OTHER = Endpoint(
    id=ENDPOINTS[1],
    interface="cali1",
    addresses=(HOSTS4[1],),
    floating=(AddressPair(FLOATING4[0], HOSTS4[1]),),
    qos=QosControls(dscp=46, egress_packet_rate=10_000, ingress_max_connections=2**32 - 1),
)


def test_limits_in_nftables():
    chains = nftables_limits.limit_chains(POD)
    assert {one.name: [line_text(line) for line in one.rules] for one in chains} == {
        "cali-tr-cali0": ["limit rate over 100/second burst 20 packets counter drop"],
        "cali-fc-cali0": ["meta l4proto 6 ct count over 7 counter reject with tcp reset"],
    }


def test_limits_in_iptables_have_a_bucket_by_name_and_rate():
    chains = iptables_limits.limit_chains(POD)
    rate, connections = (one.rules[0] for one in chains)
    assert "--hashlimit-above 100/sec --hashlimit-burst 20" in rate
    assert "--hashlimit-name cali-tr-cali0-100-20 " in rate
    assert connections == (
        "-p 6 -m connlimit --connlimit-above 7 --connlimit-mask 0 -j REJECT --reject-with tcp-reset"
    )


def test_an_endpoint_without_limits_has_no_chain_of_them():
    plain = replace(POD, qos=QosControls(ingress_bandwidth=1000, dscp=1))
    assert nftables_limits.limit_chains(plain) == iptables_limits.limit_chains(plain) == []


def test_an_interface_that_can_not_stand_in_a_rule_is_refused():
    with pytest.raises(UnsafeName):
        nftables_limits.limit_chains(replace(POD, interface="a b"))


def test_a_class_is_the_first_ones_that_has_the_address():
    host = HostEndpoint(
        id=EndpointId("HostEndpoint", "", "h"),
        interface="eth0",
        dscp=10,
    )
    named = replace(host, id=EndpointId("HostEndpoint", "", "g"), addresses=(HOSTS4[0],), dscp=12)
    addresses = {
        "eth0": frozenset({parse_prefix("192.0.2.1/24"), parse_prefix("2001:db8::1/64")}),
        "lo": frozenset({parse_prefix("127.0.0.1/8")}),
    }
    found = sources_by_class([OTHER, POD], [host, named], addresses, IPV4)
    assert found == {10: (parse_network("192.0.2.1"),), 46: (HOSTS4[0], HOSTS4[1])}
    every = replace(host, interface="*")
    found = sources_by_class([], [every], addresses, IPV6)
    assert found == {10: (parse_network("2001:db8::1"),)}


def test_a_floating_address_is_the_lowest_ids_and_an_own_one_has_one_way_back():
    found = translations([OTHER, POD], IPV4)
    assert [pair.own for pair in found.destinations] == [HOSTS4[0], HOSTS4[0]]
    assert found.sources == (AddressPair(min(FLOATING4), HOSTS4[0]),)
    assert [pair.floating for pair in translations([POD], IPV6).destinations] == [FLOATING6]
    assert translations([], IPV6) == ((), ())


def test_floating_addresses_in_both_firewalls():
    found = translations([POD], IPV6)
    ours, floating = "fd00:65::1", "2001:db8::5"
    assert [chain.rules for chain in floating_chains(found)] == [
        (f"-d {floating} -j DNAT --to-destination {ours}",),
        (f"-s {ours} -d {ours} -j SNAT --to-source {floating}",),
    ]
    chains = nftables_floating.floating_chains(found, IPV6)
    assert [line_text(line) for chain in chains[:2] for line in chain.rules] == [
        f"ip6 daddr {floating} counter dnat to {ours}",
        f"ip6 saddr {ours} ip6 daddr {ours} counter snat to {floating}",
    ]


@pytest.fixture
def pens() -> Iterator[Pens]:
    with ExitStack() as opened:
        made = Pens(opened)
        opened.callback(made.close)
        yield made


@pytest.mark.root
def test_rules_in_bytes_are_listed_as_their_text_is(pens: Pens):
    host = HostEndpoint(
        id=EndpointId("HostEndpoint", "", "h"), interface="eth0", addresses=(HOSTS6[3],), dscp=63
    )
    pens.begin(NftSettings())
    pens.apply(Delta(sets=FIXED, endpoints={POD.id: POD, OTHER.id: OTHER}))
    pens.apply(Delta(host_endpoints={host.id: host}))
    by_bytes, by_text = pens.listings()
    assert by_bytes == by_text
    for words in ("dnat to", "snat to", "ct count over 7", "dscp set", "burst 20 packets"):
        assert words in by_bytes
    pens.apply(Delta(endpoints={POD.id: replace(POD, qos=None, floating=())}))
    by_bytes, by_text = pens.listings()
    assert by_bytes == by_text
    assert "cali-tr-cali0" not in by_bytes
