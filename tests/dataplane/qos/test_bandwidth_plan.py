"""Which bucket a limit is, whose limits an interface has, and the steps from there to here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.api.calico.workload_endpoint import QosControls
from tortie.dataplane.qos import plan
from tortie.dataplane.qos.desired import (
    DesiredShapes,
    Limit,
    Shape,
    bucket_of,
    ifb_name,
    shape_of,
)
from tortie.dataplane.qos.plan import HANDLE, PRIORITY, Seen, steps
from tortie.engine.delta import Delta
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.rttc import CLSACT, INCOMING, ROOT, Filter, Qdisc, found_as
from tortie.policy.program import Endpoint, EndpointId

CALI, IFB = Link(7, "cali7", "veth", mtu=1500), Link(9, ifb_name("cali7"), "ifb", up=True)
SOME, OTHER = Limit(1_250_000, 100_000), Limit(2_500_000, 100_000)
ROOT_OF_OTHERS = Qdisc(7, "tbf", 0x10000, ROOT)
HOOKS = Qdisc(7, "clsact", 0xFFFF0000, CLSACT)


def ours(link: int, limit: Limit) -> Qdisc:
    return Qdisc(link, "tbf", HANDLE, ROOT, found_as(bucket_of(limit, 1500)))


def taken(priority: int, to: int) -> Filter:
    return Filter(7, INCOMING, priority, "u32", to)


def shaped() -> Seen:
    """Both limits in force, as this driver makes them."""
    return Seen(
        link=CALI,
        queues=(ours(7, SOME), HOOKS),
        hooks="clsact",
        incoming=(taken(PRIORITY, 0), taken(PRIORITY, 9)),
        ifb=IFB,
        ifb_queues=(ours(9, OTHER),),
    )


def kinds(shape: Shape, seen: Seen) -> list[str]:
    return [type(one).__name__ for one in steps(shape, ifb_name("cali7"), seen)]


def test_what_is_as_desired_is_left_alone():
    assert steps(Shape(SOME, OTHER), IFB.name, shaped()) == []
    assert steps(Shape(), IFB.name, Seen(CALI)) == []


@pytest.mark.parametrize(
    ("shape", "seen", "expected"),
    [
        (Shape(SOME), Seen(CALI), ["PutBucket"]),
        (Shape(SOME), Seen(CALI, (ROOT_OF_OTHERS,)), ["PutBucket"]),
        (Shape(OTHER, OTHER), shaped(), ["PutBucket"]),
        (Shape(SOME, SOME), shaped(), ["PutBucket"]),
        # The device first, since the rest needs its number.
        (Shape(None, SOME), Seen(CALI), ["MakeIfb"]),
        (Shape(None, SOME), Seen(CALI, ifb=Link(9, IFB.name, "ifb")), ["MakeIfb"]),
        (Shape(None, SOME), Seen(CALI, ifb=IFB), ["PutBucket", "AddHooks", "Redirect"]),
        (Shape(None, SOME), Seen(CALI, (HOOKS,), "ingress", ifb=IFB), ["PutBucket", "Redirect"]),
        # A filter to a device of the same name that went and came again.
        (
            Shape(SOME, OTHER),
            shaped()._replace(incoming=(taken(PRIORITY, 8),)),
            ["DropFilter", "Redirect"],
        ),
        (Shape(), shaped(), ["DropBucket", "DropFilter", "DropHooks", "DropIfb"]),
        (Shape(SOME), shaped(), ["DropFilter", "DropHooks", "DropIfb"]),
        # Others look at what goes out, or in.
        (
            Shape(SOME),
            shaped()._replace(outgoing=(Filter(7, 1, 1, "bpf"),)),
            ["DropFilter", "DropIfb"],
        ),
        (
            Shape(SOME),
            shaped()._replace(incoming=(taken(PRIORITY, 9), taken(1, 0))),
            ["DropFilter", "DropIfb"],
        ),
        # The interface is gone, or not there yet.
        (Shape(SOME, SOME), Seen(ifb=IFB), ["DropIfb"]),
        (Shape(SOME, SOME), Seen(), []),
    ],
)
def test_the_steps_from_what_is_there(shape: Shape, seen: Seen, expected: list[str]):
    assert kinds(shape, seen) == expected


def test_the_reference_plugins_devices_go_only_where_a_limit_of_ours_needs_their_place():
    plugins = Seen(
        link=CALI,
        queues=(ROOT_OF_OTHERS, HOOKS),
        hooks="ingress",
        incoming=(taken(1, 4), taken(2, 5)),
        links=((4, "bwp0123456789"), (5, "mirror")),
        ifb=IFB,
        ifb_queues=(ours(9, SOME),),
    )
    found = steps(Shape(None, SOME), IFB.name, plugins)
    assert found == [
        plan.DropFilter(7, 1),
        plan.DropIfb("bwp0123456789"),
        plan.Redirect(7, 9),
    ]
    assert steps(Shape(), IFB.name, plugins._replace(ifb=None)) == []


def test_a_limit_in_bits_is_a_bucket_in_bytes():
    controls = QosControls(
        ingress_bandwidth=10_000_000,
        ingress_burst=800_000,
        ingress_peakrate=20_000_000,
        ingress_minburst=3000,
        egress_bandwidth=1000,
    )
    shape = shape_of(controls)
    assert shape == Shape(Limit(1_250_000, 100_000, 2_500_000, 3000), Limit(125))
    assert shape_of(None) == shape_of(QosControls(egress_max_connections=1)) == Shape()


@given(
    st.builds(
        Limit,
        st.integers(1, 10**15),
        st.integers(0, 2**33),
        st.integers(0, 10**15),
        st.integers(0, 10**8),
    ),
    st.integers(68, 65535),
)
def test_every_bucket_takes_a_whole_packet_and_fits_the_kernels_numbers(limit: Limit, mtu: int):
    """A bucket that is smaller than a packet would let none of that size pass, ever."""
    bucket = bucket_of(limit, mtu)
    assert mtu + 14 <= bucket.burst < 2**32
    assert 2 * mtu <= bucket.queue < 2**32
    assert not bucket.peak or bucket.peak_burst >= mtu + 14


def endpoint(name: str, interface: str, **limits: int) -> Endpoint:
    controls = QosControls(**limits) if limits else None
    return Endpoint(
        id=EndpointId("WorkloadEndpoint", "d", name),
        interface=interface,
        addresses=(),
        qos=controls,
    )


def put(*endpoints: Endpoint) -> Delta:
    return Delta(endpoints={one.id: one for one in endpoints})


def test_only_interfaces_whose_limits_may_differ_are_looked_at():
    desired = DesiredShapes()
    plain, limited = endpoint("a", "cali1"), endpoint("b", "cali2", ingress_bandwidth=8000)
    assert desired.fold(put(plain, limited)) == {"cali2"}
    assert desired.fold(put(plain)) == set()
    assert desired.behind("cali1") == ""
    assert desired.behind("cali2") == desired.behind(ifb_name("cali2")) == "cali2"
    assert desired.fold(put(endpoint("b", "cali2"))) == {"cali2"}
    assert desired.interfaces == set()
    assert desired.behind(ifb_name("cali2")) == ""


def test_of_two_endpoints_that_name_an_interface_the_lower_ids_limits_hold():
    desired = DesiredShapes()
    low, high = (
        endpoint("a", "cali1", ingress_bandwidth=8000),
        endpoint("b", "cali1", ingress_bandwidth=16000),
    )
    desired.fold(put(high))
    desired.fold(put(low))
    assert desired.owner("cali1") == low.id
    assert desired.shape("cali1").ingress == Limit(1000)
    assert desired.fold(Delta(endpoints_removed=frozenset({low.id}))) == {"cali1"}
    assert desired.shape("cali1").ingress == Limit(2000)


def test_limits_move_with_their_endpoint():
    desired = DesiredShapes()
    desired.fold(put(endpoint("a", "cali1", egress_bandwidth=8000)))
    assert desired.fold(put(endpoint("a", "cali2", egress_bandwidth=8000))) == {"cali1", "cali2"}
    assert desired.interfaces == {"cali2"}
