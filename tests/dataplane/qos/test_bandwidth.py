"""Limits of bandwidth in a real kernel: what passes, what is adopted, repaired and taken away."""

import errno
import time
from contextlib import suppress

import pytest

from dataplane.qos.bandwidth_lab import SIZE, BandwidthLab, bandwidth_lab
from tortie.api.calico.workload_endpoint import QosControls
from tortie.dataplane.qos import QosDriver
from tortie.dataplane.qos.desired import Limit, bucket_of, ifb_name
from tortie.dataplane.qos.plan import HANDLE, PRIORITY
from tortie.engine.delta import Delta
from tortie.linux.netlink.rtnetlink import NewLink
from tortie.linux.netlink.rttc import ROOT, Bucket, found_as
from tortie.linux.netlink.sockets import NetlinkError, NetlinkLost, NetlinkSocket
from tortie.policy.program import Endpoint, EndpointId

pytestmark = pytest.mark.root
POD = EndpointId("WorkloadEndpoint", "shop", "web")
IFB = ifb_name("cali1")
BOTH = {
    "ingress_bandwidth": 8000,
    "ingress_burst": 160_000,
    "egress_bandwidth": 8000,
    "egress_burst": 240_000,
}


@pytest.fixture
def lab():
    with bandwidth_lab() as made:
        yield made


@pytest.fixture
def driver(lab: BandwidthLab):
    made = lab.driver()
    yield made
    made.close()


def limited(interface: str = "cali1", name: EndpointId = POD, **limits: int) -> Delta:
    endpoint = Endpoint(
        id=name,
        interface=interface,
        addresses=(),
        qos=QosControls(**limits) if limits else None,
    )
    return Delta(endpoints={name: endpoint})


def in_force(lab: BandwidthLab) -> tuple[bool, bool]:
    """Whether what goes to the workload, and what comes from it, waits for our tokens."""
    coming = any(one.handle == HANDLE and one.parent == ROOT for one in lab.queues("cali1"))
    waits = any(one.handle == HANDLE and one.parent == ROOT for one in lab.queues(IFB))
    hooked = any(one.kind == "clsact" for one in lab.queues("cali1"))
    device = lab.links.find(IFB)
    sent = hooked and device is not None
    redirected = sent and any(
        one.priority == PRIORITY and one.redirect == device.index for one in lab.filters("cali1")
    )
    return coming, waits and redirected


def settled(driver: QosDriver) -> bool:
    """Whether a look finds nothing to do."""
    before = driver.written
    return driver.resync().failed == () and driver.written == before


@pytest.mark.vm  # another kernel's queues, too
@pytest.mark.parametrize(("direction", "held"), [("ingress", 20), ("egress", 30)])
def test_what_the_bucket_holds_passes_at_once_and_the_rest_waits(
    lab: BandwidthLab, driver: QosDriver, direction: str, held: int
):
    """1,000 bytes a second: while the flood lasts hardly a packet more than the bucket's passes."""
    assert driver.apply(limited(**BOTH)).failed == ()
    source, queue = (lab.node, "cali1") if direction == "ingress" else (lab.pod, IFB)
    began = time.monotonic()
    lab.flood(source, 60)
    passed = lab.passed(queue, 60, held)
    assert passed <= held + 2 + time.monotonic() - began
    assert in_force(lab) == (True, True)


def test_other_limits_take_the_place_of_those_in_force_and_then_there_are_none(
    lab: BandwidthLab, driver: QosDriver
):
    driver.apply(limited(**BOTH))
    driver.apply(limited(ingress_bandwidth=16_000))
    assert in_force(lab) == (True, False)
    root = next(one for one in lab.queues("cali1") if one.parent == ROOT)
    assert root.bucket == found_as(bucket_of(Limit(2000), 1500))
    assert lab.devices() == set()
    driver.apply(limited())
    assert [one.kind for one in lab.queues("cali1")] == ["noqueue"]
    lab.flood(lab.pod, 3)  # nothing sends it astray


def test_a_peak_rate_holds_while_the_bucket_is_full(lab: BandwidthLab, driver: QosDriver):
    driver.apply(
        limited(
            ingress_bandwidth=8000,
            ingress_burst=800_000,
            ingress_peakrate=16_000,
            ingress_minburst=5000,
        )
    )
    began = time.monotonic()
    lab.flood(lab.node, 60)
    passed = lab.passed("cali1", 60, 5)
    assert passed <= 5 + 2 + 2 * (time.monotonic() - began)


def test_a_restart_adopts_what_is_there(lab: BandwidthLab, driver: QosDriver):
    """A bucket that is written anew is a full one."""
    driver.apply(limited(**BOTH))
    lab.flood(lab.node, 40)
    before = lab.passed("cali1", 40)
    after = lab.driver()
    after.fold(limited(**BOTH))
    assert settled(after)
    assert lab.passed("cali1", 40) >= before  # a new queue would begin at 0
    after.close()


def test_what_a_former_life_left_goes_when_nobody_asks_for_it(lab: BandwidthLab, driver: QosDriver):
    driver.apply(limited(**BOTH))
    after = lab.driver()
    assert after.resync().failed == ()
    assert in_force(lab) == (False, False)
    assert lab.devices() == set()
    assert [one.kind for one in lab.queues("cali1")] == ["noqueue"]
    after.close()


@pytest.mark.parametrize(
    "damage",
    [
        ["tc qdisc del dev cali1 root"],
        ["tc qdisc replace dev cali1 root handle ca1: tbf rate 1gbit burst 1m limit 1m"],
        ["tc qdisc del dev cali1 clsact"],
        ["tc filter del dev cali1 ingress"],
        [f"ip link del {IFB}"],
        [f"ip link set {IFB} down"],
        [f"tc qdisc replace dev {IFB} root pfifo"],
        [
            f"ip link del {IFB}",
            f"ip link add {IFB} type ifb",
            f"ip link set {IFB} up",
        ],
    ],
    ids=lambda damage: damage[0],
)
def test_damage_is_repaired(lab: BandwidthLab, driver: QosDriver, damage: list[str]):
    driver.apply(limited(**BOTH))
    for line in damage:
        lab.command(*line.split())
    assert driver.resync().failed == ()
    assert in_force(lab) == (True, True)
    assert settled(driver)


def test_an_interface_that_comes_later_is_limited_when_it_comes(
    lab: BandwidthLab, driver: QosDriver
):
    lab.links.delete("cali1")
    assert driver.apply(limited(**BOTH)).failed == ()
    lab.plug()
    assert driver.link_changed("cali1", "up").failed == ()
    assert in_force(lab) == (True, True)
    lab.links.delete("cali1")
    assert driver.link_changed("cali1", "gone").failed == ()
    assert lab.devices() == set()
    lab.plug()
    driver.link_changed("cali1", "up")
    assert in_force(lab) == (True, True)


def test_an_endpoint_that_goes_leaves_nothing(lab: BandwidthLab, driver: QosDriver):
    driver.apply(limited(**BOTH))
    lab.links.delete("cali1")
    driver.apply(Delta(endpoints_removed=frozenset({POD})))
    assert lab.devices() == set()


def test_what_is_not_ours_stays(lab: BandwidthLab, driver: QosDriver):
    lab.links.create(NewLink("bwp0123456789", "ifb", up=True))
    to = lab.links.get("bwp0123456789").index
    cali = lab.links.get("cali1").index
    lab.shaping.put_bucket(cali, 0x10000, Bucket(125_000, 10_000, 65536))
    lab.shaping.add_hooks(cali)
    lab.shaping.add_redirect(cali, 1, to)
    before = lab.queues("cali1"), lab.filters("cali1")
    driver.apply(limited())
    driver.resync()
    assert (lab.queues("cali1"), lab.filters("cali1")) == before
    assert lab.devices() == {"bwp0123456789"}
    # A limit of ours takes the place of the reference plugin's, else it would never be asked.
    driver.apply(limited(**BOTH))
    assert in_force(lab) == (True, True)
    assert lab.devices() == {IFB}
    assert {one.priority for one in lab.filters("cali1")} == {PRIORITY}


def test_others_hooks_stay_when_our_limit_goes(lab: BandwidthLab, driver: QosDriver):
    lab.links.create(NewLink("mirror", "ifb", up=True))
    cali = lab.links.get("cali1").index
    lab.shaping.add_hooks(cali)
    lab.shaping.add_redirect(cali, 1, lab.links.get("mirror").index)
    driver.apply(limited(**BOTH))
    driver.apply(limited())
    assert {one.priority for one in lab.filters("cali1")} == {1}


def test_one_interfaces_trouble_is_named_and_does_not_touch_the_others(
    lab: BandwidthLab, driver: QosDriver, monkeypatch: pytest.MonkeyPatch
):
    """As on a kernel without `ifb`."""
    lab.plug_more("cali2")
    other = EndpointId("WorkloadEndpoint", "shop", "db")
    monkeypatch.setattr("tortie.linux.links.Links.create", refuse)
    both = {
        **limited(**BOTH).endpoints,
        **limited("cali2", other, ingress_bandwidth=8000).endpoints,
    }
    failed = driver.apply(Delta(endpoints=both)).failed
    assert [one.subject for one in failed] == ["shop/web"]
    assert failed[0].driver == "qos"
    assert "bandwidth: creating ifb" in failed[0].message
    assert any(one.handle == HANDLE for one in lab.queues("cali2"))
    monkeypatch.undo()
    assert driver.resync().failed == ()
    assert in_force(lab) == (True, True)


def refuse(_links, link: NewLink) -> None:
    raise NetlinkError(errno.EOPNOTSUPP, "Unknown device type", f"creating {link.kind} {link.name}")


def test_a_name_that_no_interface_can_have_disturbs_nobody(lab: BandwidthLab, driver: QosDriver):
    other = EndpointId("WorkloadEndpoint", "shop", "bad")
    both = {**limited(**BOTH).endpoints, **limited("a/b", other, ingress_bandwidth=8000).endpoints}
    assert driver.apply(Delta(endpoints=both)).failed == ()
    assert in_force(lab) == (True, True)
    assert driver.apply(Delta(endpoints_removed=frozenset({other}))).failed == ()


def test_a_packet_is_at_most_as_large_as_the_bucket_whatever_was_asked(
    lab: BandwidthLab, driver: QosDriver
):
    lab.command("ip", "link", "set", "cali1", "mtu", "9000")
    driver.apply(limited(ingress_bandwidth=8000, ingress_burst=8))
    root = next(one for one in lab.queues("cali1") if one.parent == ROOT)
    assert root.bucket == found_as(bucket_of(Limit(1000, 1), 9000))
    lab.command("ip", "link", "set", "cali1", "mtu", "1400")
    driver.link_changed("cali1", "up")
    root = next(one for one in lab.queues("cali1") if one.parent == ROOT)
    assert root.bucket == found_as(bucket_of(Limit(1000, 1), 1400))
    assert SIZE <= 1414


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("comes", [True, False], ids=["coming", "going"])
def test_a_kill_between_any_two_steps_is_made_good_by_the_next_life(
    lab: BandwidthLab,
    driver: QosDriver,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    comes: bool,
):
    do, made = QosDriver._do, []

    def killed(self, step, interface) -> None:
        if len(made) == steps:
            raise Killed
        made.append(step)
        do(self, step, interface)

    if not comes:
        driver.apply(limited(**BOTH))
    monkeypatch.setattr(QosDriver, "_do", killed)
    with suppress(Killed):
        driver.apply(limited(**BOTH) if comes else limited())
    monkeypatch.undo()
    after = lab.driver()
    after.fold(limited(**BOTH) if comes else limited())
    assert after.resync().failed == ()
    assert in_force(lab) == (comes, comes)
    assert lab.devices() == ({IFB} if comes else set())
    assert settled(after)
    after.close()


def test_after_a_lost_answer_everything_is_read_back(
    lab: BandwidthLab, driver: QosDriver, monkeypatch: pytest.MonkeyPatch
):
    def lost(_sock, request) -> None:
        raise NetlinkLost(errno.ENOBUFS, "", request.about)

    monkeypatch.setattr("tortie.linux.netlink.sockets.NetlinkSocket.request", lost)
    with pytest.raises(NetlinkLost):
        driver.apply(limited(**BOTH))
    monkeypatch.undo()
    assert driver.ports == frozenset()
    assert driver.resync().failed == ()
    assert in_force(lab) == (True, True)


def test_a_node_without_limits_is_not_even_looked_at(lab: BandwidthLab):
    def opened() -> NetlinkSocket:
        raise AssertionError("nobody asked for bandwidth")

    idle = QosDriver(opened)
    assert idle.apply(limited()).failed == ()
    assert idle.link_changed("cali1", "up").failed == ()
    assert lab.devices() == set()
