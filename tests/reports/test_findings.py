"""What `tortie status` makes of nodes and of what their daemons said."""

from datetime import UTC, datetime, timedelta

import pytest

from tortie.api import Node, NodeSpec, ObjectMeta
from tortie.api.calico.node import NodeBgp
from tortie.reports.findings import cluster_of
from tortie.reports.report import Report

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def node(name: str, address: str = "172.16.1.1/24") -> Node:
    spec = NodeSpec(bgp=NodeBgp(ipv4_address=address) if address else None)
    return Node(metadata=ObjectMeta(name=name), spec=spec)


def said(name: str, *, component: str = "agent", ago: float = 5.0, **more) -> Report:
    report = Report(node=name, component=component, **{"version": "1.2.0", "ready": True, **more})
    return report.stamped(NOW - timedelta(seconds=ago), 90)


def texts(nodes, reports) -> list[str]:
    return [f"{one.where}: {one.what}" for one in cluster_of(nodes, reports, NOW).findings]


def test_a_cluster_whose_agents_are_ready_has_nothing_wrong():
    reports = [
        said("b", facts={"endpoints": 3, "policies": 2}),
        said("a", since="2026-01-01T00:00:00Z"),
        said("a", component="bgp", facts={"sessions": "1/1"}),
    ]
    found = cluster_of([node("b"), node("a", "fd00::7/64")], reports, NOW)
    assert found.findings == ()
    assert [(one.name, one.agent, one.bgp, one.address) for one in found.nodes] == [
        ("a", "ready", "1/1", "fd00::7"),
        ("b", "ready", "", "172.16.1.1"),
    ]
    assert (found.nodes[1].endpoints, found.nodes[1].policies) == (3, 2)


@pytest.mark.parametrize(
    ("report", "state", "text"),
    [
        (None, "unheard", "a: its agent has never reported"),
        (
            said("a", ago=91),
            "silent",
            "a: no sign of life of its agent since 2026-01-01T11:58:29Z: what it programmed stays"
            " in force",
        ),
        (
            said("a", ready=False, waiting_for=("datastore: away",)),
            "not ready",
            "a: not ready: datastore: away",
        ),
        (
            said("a", failures=("nftables: NetworkPolicy(x/y): no room",)),
            "ready",
            "a: nftables: NetworkPolicy(x/y): no room",
        ),
    ],
)
def test_an_agent_that_is_not_well_is_told_with_its_words(report, state, text):
    found = cluster_of([node("a")], [report] if report else [], NOW)
    assert found.nodes[0].agent == state
    assert [f"{one.where}: {one.what}" for one in found.findings] == [text]


def test_a_report_that_just_counts_is_no_silence():
    assert texts([node("a")], [said("a", ago=90)]) == []


@pytest.mark.parametrize("at", ["", "yesterday", "2026-01-01T12:00:00"])
def test_a_moment_that_can_not_be_read_is_silence(at):
    report = Report(node="a", component="agent", at=at, seconds=90, ready=True)
    assert cluster_of([node("a")], [report], NOW).nodes[0].agent == "silent"


def test_sessions_of_bgp_that_are_not_up_are_told():
    line = "172.16.1.2: nobody answers"
    down = said("a", component="bgp", ready=False, failures=(line,), facts={"sessions": "0/1"})
    found = cluster_of([node("a")], [said("a"), down], NOW)
    assert found.nodes[0].bgp == "0/1"
    assert [one.what for one in found.findings] == [f"BGP: {line}"]


def test_bgp_that_is_silent_is_no_agent_that_is():
    found = cluster_of([node("a")], [said("a"), said("a", component="bgp", ago=600)], NOW)
    assert (found.nodes[0].agent, found.nodes[0].bgp) == ("ready", "silent")
    assert len(found.findings) == 1


def test_a_node_without_address_and_an_agent_without_node_are_told():
    assert texts([node("a", "")], [said("a"), said("b")]) == [
        "b: an agent reports, but there is no Node of this name",
        "a: its Node has no address: other nodes have no way to its workloads",
    ]


def test_an_upgrade_that_is_not_finished_is_told_with_who_is_behind():
    reports = [said("a", version="0.9.0"), said("b", version="0.10.0"), said("c", version="0.10.0")]
    found = cluster_of([node(name) for name in "abc"], reports, NOW).findings
    assert [one.what for one in found] == ["agents of 2 versions run: 0.9.0, 0.10.0"]
    assert found[0].advice == "finish the upgrade on a"


def test_a_version_that_runs_nowhere_any_more_is_no_unfinished_upgrade():
    reports = [said("a", version="0.9.0", ago=1000), said("b", version="0.10.0")]
    assert [one.where for one in cluster_of([node("a"), node("b")], reports, NOW).findings] == ["a"]


def test_long_lists_are_cut_with_how_many_are_left():
    report = said("a", warnings=tuple(f"{'x' * 400}{at}" for at in range(30)))
    assert len(report.warnings) == 11
    assert report.warnings[-1] == "and 20 more"
    assert max(map(len, report.warnings)) == 300
