"""The drivers together: the order of writes, and one driver's trouble kept to itself."""

import pytest

from agent.doubles import RecordingDriver, endpoint_id, failed
from tortie.dataplane.composite import Dataplane
from tortie.engine.delta import Delta
from tortie.policy.program import Endpoint


@pytest.fixture
def journal():
    return []


@pytest.fixture
def drivers(journal):
    return {name: RecordingDriver(name, journal) for name in ("policy", "routes", "vxlan")}


@pytest.fixture
def dataplane(drivers):
    return Dataplane(drivers["policy"], drivers["routes"], [drivers["vxlan"]])


def delta(*names, removed=()):
    return Delta(
        endpoints={endpoint_id(n): Endpoint(endpoint_id(n), f"cali{n}", ()) for n in names},
        endpoints_removed=frozenset(endpoint_id(n) for n in removed),
    )


def steps(journal, *calls):
    return [entry[0] for entry in journal if entry[1] in calls]


def test_policy_comes_before_routes(dataplane, journal):
    dataplane.resync()
    journal.clear()
    dataplane.apply(delta("a"))
    assert [entry[0] for entry in journal] == ["policy", "vxlan", "routes"]


def test_routes_go_before_policy(dataplane, journal):
    dataplane.resync()
    journal.clear()
    dataplane.apply(delta("a", removed=["b"]))
    assert [(entry[0], entry[2], entry[3]) for entry in journal] == [
        ("routes", [], ["b"]),
        ("policy", ["a"], ["b"]),
        ("vxlan", ["a"], ["b"]),
        ("routes", ["a"], []),
    ]


def test_no_route_is_written_until_policy_has_been(dataplane, drivers, journal):
    drivers["policy"].fail_with = OSError("no nftables")
    dataplane.fold(delta("a"))
    applied = dataplane.resync()
    assert applied.failed[0] == ("policy", "everything", "OSError: no nftables")
    assert steps(journal, "resync") == ["policy", "vxlan"]
    dataplane.apply(delta("b"))
    dataplane.links_changed([("calia", "up")])
    assert "routes" not in steps(journal, "apply", "resync", "link")
    assert dataplane.waiting_for(endpoint_id("a")) == "the node's policy is not in the kernel"
    drivers["policy"].fail_with = None
    journal.clear()
    assert dataplane.retry().failed == ()
    assert steps(journal, "resync") == ["policy", "routes"]
    assert sorted(n.name for n in drivers["routes"].desired) == ["a", "b"]


def test_a_driver_that_raised_is_resynced_and_the_others_go_on(dataplane, drivers, journal):
    dataplane.resync()
    drivers["vxlan"].fail_with = OSError("no device")
    dataplane.apply(delta("a"))
    journal.clear()
    assert dataplane.apply(delta("b")).failed == (("vxlan", "everything", "OSError: no device"),)
    assert journal == [
        ("policy", "apply", ["b"], []),
        ("vxlan", "fold", ["b"], []),
        ("routes", "apply", ["b"], []),
    ]
    drivers["vxlan"].fail_with = None
    journal.clear()
    assert dataplane.retry().failed == ()
    assert journal == [("vxlan", "resync", ["a", "b"])]


def test_a_reported_failure_stays_until_that_driver_is_resynced(dataplane, drivers, journal):
    dataplane.resync()
    bad = failed("GlobalNetworkPolicy(bad)")
    drivers["policy"].fail_with = [bad]
    assert dataplane.apply(delta("a")).failed == (bad,)
    drivers["policy"].fail_with = None
    assert dataplane.apply(delta("b")).failed == (bad,)
    journal.clear()
    assert dataplane.retry().failed == ()
    assert steps(journal, "resync") == ["policy"]


def test_an_endpoint_whose_policy_failed_is_not_ready(dataplane, drivers):
    dataplane.resync()
    drivers["policy"].fail_with = [failed("default/a", message="no room")]
    dataplane.apply(delta("a", "b"))
    assert dataplane.waiting_for(endpoint_id("a")) == "no room"
    assert dataplane.waiting_for(endpoint_id("b")) == ""
    drivers["routes"].unready[endpoint_id("b")] = "x"
    assert dataplane.waiting_for(endpoint_id("b")) == "its route is not programmed"


def test_before_anything_is_known_only_policy_is_asked_to_shut_what_is_open(dataplane, journal):
    dataplane.guard()
    assert journal == [("policy", "guard")]
    dataplane.fold(delta("a"))
    journal.clear()
    dataplane.resync()
    assert steps(journal, "resync") == ["policy", "vxlan", "routes"]


def test_links_are_told_to_tunnels_and_routes(dataplane, journal):
    dataplane.links_changed([("eth0", "up")])
    assert journal == []
    dataplane.resync()
    journal.clear()
    dataplane.links_changed([("eth0", "gone")])
    assert journal == [("vxlan", "link", "eth0", "gone"), ("routes", "link", "eth0", "gone")]


def test_what_a_driver_no_longer_reports_is_over(dataplane, drivers):
    dataplane.resync()
    drivers["routes"].fail_with = [failed("10.0.0.1/32", driver="routes")]
    assert len(dataplane.apply(delta("a")).failed) == 1
    drivers["routes"].fail_with = None
    assert dataplane.apply(delta("b")).failed == ()
