"""Which pools a request may take from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.ipam import pool
from tortie.ipam import NoPool
from tortie.ipam.names import Owner, affinity_key, block_key, handle_key
from tortie.ipam.pools import Query, blocks_for, range_of, select
from tortie.net import Prefix, parse_network

QUERY = Query(4, "Workload", (), "n1", {"rack": "1"}, "web", {"team": "x"})
NETS = st.builds(  # within, around and beside 10.0.0.0/20
    lambda address, length: Prefix(4, 0x0A000000 + address, length).network,
    st.integers(0, (1 << 13) - 1),
    st.integers(16, 32),
)


@pytest.mark.parametrize(
    ("spec", "query", "reason"),
    [
        ({}, {}, ""),
        ({}, {"version": 6}, "IPv4"),
        ({}, {"use": "Tunnel"}, ""),
        ({}, {"use": "LoadBalancer"}, "allowedUses is Workload, Tunnel"),
        ({"allowed_uses": ("Tunnel",)}, {}, "allowedUses is Tunnel"),
        ({"allowed_uses": ("Tunnel",)}, {"use": "Tunnel"}, ""),
        ({"disabled": True}, {}, "disabled"),
        ({"disabled": True}, {"requested": ("p",)}, "disabled"),
        ({"assignment_mode": "Manual"}, {}, "must be asked for"),
        ({"assignment_mode": "Manual"}, {"requested": ("p",)}, ""),
        ({"assignment_mode": "Manual"}, {"requested": ("10.0.0.0/24",)}, ""),
        ({"node_selector": "rack == '1'"}, {}, ""),
        ({"node_selector": "rack == '2'"}, {}, "nodeSelector"),
        ({"node_selector": "rack == '2'"}, {"requested": ("p",)}, ""),
        ({"node_selector": "rack ="}, {}, "selector:"),
        ({"namespace_selector": "team == 'x'"}, {}, ""),
        ({"namespace_selector": "team == 'y'"}, {}, "namespace 'web'"),
        ({"namespace_selector": "has(team)"}, {"namespace_labels": {}}, "namespaceSelector"),
        ({"cidr": "10.0.0.0/33"}, {}, "above 32"),
    ],
)
def test_a_pool_is_chosen_or_named_with_the_reason(
    spec: dict[str, Any], query: dict[str, Any], reason: str
) -> None:
    pools = [pool("p", **({"cidr": "10.0.0.0/24"} | spec))]
    asked = QUERY._replace(**query)
    if not reason:
        assert [found.name for found in select(pools, asked)] == ["p"]
        return
    with pytest.raises(NoPool) as raised:
        select(pools, asked)
    assert f"p ({reason}" in str(raised.value) or reason in str(raised.value)
    assert "node n1" in str(raised.value)


def test_a_pool_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NoPool, match="'q', which was asked for; there are: p"):
        select([pool("p", "10.0.0.0/24")], QUERY._replace(requested=("q",)))


def test_pools_come_by_address_or_as_asked_for() -> None:
    pools = [pool("a", "10.9.0.0/24"), pool("b", "10.1.0.0/24")]
    assert [found.name for found in select(pools, QUERY)] == ["b", "a"]
    asked = QUERY._replace(requested=("a", "b"))
    assert [found.name for found in select(pools, asked)] == ["a", "b"]


def test_each_node_walks_all_blocks_from_a_place_of_its_own() -> None:
    found = range_of(pool("p", "10.0.0.0/20"))
    walks = {node: list(blocks_for(node, found)) for node in ("n1", "n2", "n3")}
    assert all(len(set(walk)) == len(walk) == 64 for walk in walks.values())
    assert len({walk[0] for walk in walks.values()}) == 3
    assert walks["n1"] == list(blocks_for("n1", found))


@given(st.lists(NETS, max_size=6))
def test_what_is_left_out_is_every_block_inside_it_and_no_other(without: list[Prefix]) -> None:
    found = range_of(pool("p", "10.0.0.0/20"))
    left = [
        block
        for block in blocks_for("n1", found)
        if not any(net.contains(block) for net in without)
    ]
    assert list(blocks_for("n1", found, without)) == left


@pytest.mark.parametrize("half", ["fd00::/49", "fd00:0:0:8000::/49"])
@pytest.mark.parametrize("node", ["n1", "n2", "n3", "n4"])
def test_what_is_left_out_is_stepped_over_however_large_it_is(half: str, node: str) -> None:
    found = range_of(pool("p", "fd00::/48"))
    first = next(blocks_for(node, found, (parse_network(half),)))
    assert not parse_network(half).contains(first)
    whole = (parse_network("fd00::/49"), parse_network("fd00:0:0:8000::/49"))
    assert not list(blocks_for(node, found, whole))


def test_huge_pools_are_walked_lazily() -> None:
    found = range_of(pool("p", "fd00::/48"))
    first = next(blocks_for("n1", found))
    assert first.length == 122
    assert found.cidr.contains(first)


def test_names_are_those_of_calico() -> None:
    cidr = parse_network("192.168.0.0/26")
    assert block_key(cidr).name == "192-168-0-0-26"
    assert affinity_key(Owner("n1"), cidr).name == "n1-192-168-0-0-26"
    assert block_key(parse_network("fd00:10::40/122")).name == "fd00-10--40-122"
    assert (
        handle_key("k8s-pod-network.ABC").name == "k8s-pod-network.ABC"
    )  # on Kubernetes in lower case
    assert len(affinity_key(Owner("n" * 250), cidr).name) <= 253
