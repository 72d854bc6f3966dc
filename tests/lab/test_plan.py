"""What a lab consists of."""

import pytest

from tortie.lab.errors import LabError
from tortie.lab.plan import MOST_NODES, Encap, Families, plan_lab, shape_of


@pytest.mark.parametrize(
    ("count", "on_a", "on_b"), [(1, 1, 0), (2, 1, 1), (3, 2, 1), (4, 2, 2), (7, 4, 3)]
)
def test_nodes_are_split_over_two_subnets(count: int, on_a: int, on_b: int) -> None:
    nodes = plan_lab("lab", count).nodes
    bridges = [node.subnet.bridge for node in nodes]
    assert (bridges.count("br-a"), bridges.count("br-b")) == (on_a, on_b)


def test_every_address_is_its_own_and_on_its_subnet() -> None:
    plan = plan_lab("lab", MOST_NODES)
    stations = (*plan.nodes, *plan.outside)
    assert len({station.address.address for station in stations}) == len(stations)
    for station in stations:
        assert station.address.network == station.subnet.gateway.network
        assert station.address != station.subnet.gateway


def test_two_labs_share_no_namespace() -> None:
    def namespaces(name: str) -> set[str]:
        plan = plan_lab(name, 3)
        return {plan.router, *(s.namespace for s in (*plan.nodes, *plan.outside))}

    assert not namespaces("one") & namespaces("two")


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "..", "x" * 21, "ä"])
def test_a_name_that_could_not_be_a_file_or_namespace_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="can't name a lab"):
        plan_lab(name, 3)


@pytest.mark.parametrize("count", [-1, 0, MOST_NODES + 1])
def test_an_impossible_number_of_nodes_is_refused(count: int) -> None:
    with pytest.raises(LabError, match=f"1 to {MOST_NODES} nodes, not {count}"):
        plan_lab("lab", count)


def test_an_unknown_node_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(LabError, match="no node 'node-9': there are node-1, node-2"):
        plan_lab("lab", 2).node("node-9")


@pytest.mark.parametrize(
    ("families", "versions"),
    [(Families.IPV4, [4]), (Families.IPV6, [6]), (Families.DUAL, [4, 6])],
)
def test_everybody_has_an_address_of_each_ip_version(
    families: Families, versions: list[int]
) -> None:
    plan = plan_lab("lab", shape_of(3, families=families))
    for station in (*plan.nodes, *plan.outside):
        assert [address.version for address in station.addresses] == versions
        for version in (4, 6):
            assert bool(station.text_of(version)) is (version in versions)
            gateway = station.subnet.gateway_of(version)
            assert (gateway is not None) is (version in versions)


def test_nodes_that_are_added_go_where_fewer_are_and_move_nobody() -> None:
    small, grown = shape_of(3), shape_of(3).grown(6)
    assert (small.placement, grown.placement) == ("aab", "aabbab")
    assert plan_lab("lab", grown).nodes[:3] == plan_lab("lab", small).nodes


def test_ipip_is_not_for_ipv6_alone() -> None:
    with pytest.raises(LabError, match="IPIP carries IPv4 only"):
        shape_of(3, Encap.IPIP, families=Families.IPV6)
