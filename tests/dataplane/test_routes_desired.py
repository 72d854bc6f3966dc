"""Which routes should be there: without a kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tortie.dataplane.routes.desired import (
    DesiredRoutes,
    as_wanted,
    cluster_route,
    device_route,
    is_ours,
)
from tortie.dataplane.routes.plan import Change, in_safe_order
from tortie.dataplane.routes.settings import RouteSettings
from tortie.dataplane.routes.sysctls import endpoint_settings
from tortie.engine.delta import Delta, Route, RouteKind
from tortie.linux.netlink.rtnetlink import RTN_BLACKHOLE, KernelRoute, Link
from tortie.net import Prefix, parse_network, parse_prefix
from tortie.policy.program import AddressPair, Endpoint, EndpointId

SETTINGS = RouteSettings()
LINKS = {name: Link(index, name, up=True) for index, name in enumerate(["calia", "calib"], 5)}
LINKS["vxlan.calico"] = Link(9, "vxlan.calico", up=True)
ALL_LINKS = LINKS | {
    name: Link(index, name, up=True) for index, name in enumerate(["vxlan-v6.calico", "tunl0"], 10)
}
ADDRESSES = [parse_prefix(f"10.0.0.{last}") for last in range(3)] + [parse_prefix("fd00::1")]

endpoints = st.builds(
    lambda name, interface, addresses: Endpoint(
        EndpointId("WorkloadEndpoint", "ns", name), interface, tuple(addresses)
    ),
    st.sampled_from("xyz"),
    st.sampled_from(["calia", "calib", "calic"]),
    st.sets(st.sampled_from(ADDRESSES), max_size=3),
)
routes = st.builds(
    lambda destination, kind: Route(
        destination, kind, None if kind is RouteKind.BLACKHOLE else 0x0A000009, "n"
    ),
    st.sampled_from(
        [*ADDRESSES, *map(parse_network, ("10.1.0.0/26", "10.2.0.0/26", "fd00:1::/122"))]
    ),
    st.sampled_from(RouteKind),
).filter(lambda route: route.destination.version == 4 or route.kind is not RouteKind.IPIP)
deltas = st.builds(
    Delta,
    endpoints=st.lists(endpoints, max_size=2).map(lambda found: {e.id: e for e in found}),
    endpoints_removed=st.frozensets(endpoints.map(lambda e: e.id), max_size=2),
    routes=st.lists(routes, max_size=2).map(lambda found: {r.destination: r for r in found}),
    routes_removed=st.frozensets(routes.map(lambda r: r.destination), max_size=2),
)


def outcome(desired: DesiredRoutes) -> dict[Prefix, KernelRoute | None]:
    return {prefix: desired.route(prefix, LINKS) for prefix in desired.destinations()}


@given(st.lists(deltas, max_size=8))
def test_equal_final_inputs_give_equal_routes_whatever_came_before(history: list[Delta]) -> None:
    lived, endpoints, routes = DesiredRoutes(SETTINGS), {}, {}
    for delta in history:
        lived.fold(delta)
        for endpoint_id in delta.endpoints_removed:
            endpoints.pop(endpoint_id, None)
        endpoints |= delta.endpoints
        for destination in delta.routes_removed:
            routes.pop(destination, None)
        routes |= delta.routes
    fresh = DesiredRoutes(SETTINGS)
    fresh.fold(Delta(endpoints=endpoints, routes=routes))
    assert outcome(lived) == outcome(fresh)
    assert all(
        lived.through(name) == fresh.through(name) for name in ("calia", "calib", "vxlan.calico")
    )
    assert lived.direct() == fresh.direct()
    assert (
        lived.contested == fresh.contested == {d for d in fresh.destinations() if fresh.rivals(d)}
    )


@given(st.lists(deltas, max_size=8), deltas)
def test_what_a_delta_changes_is_touched(history: list[Delta], last: Delta) -> None:
    desired = DesiredRoutes(SETTINGS)
    for delta in history:
        desired.fold(delta)
    before = outcome(desired)
    touched = desired.fold(last)
    after = outcome(desired)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed <= touched.destinations


@given(st.lists(deltas, max_size=8))
def test_what_an_interface_carries_is_known_to_depend_on_it(history: list[Delta]) -> None:
    """Or on any uplink, where the gateway says on which."""
    desired = DesiredRoutes(RouteSettings(programs_plain=True))
    for delta in history:
        desired.fold(delta)
    found = {d: desired.route(d, ALL_LINKS) for d in desired.destinations()}
    for name, link in ALL_LINKS.items():
        carried = {d for d, route in found.items() if route and route.oif == link.index}
        assert carried <= desired.through(name)
    by_gateway = {d for d, one in found.items() if one and one.gateway is not None and not one.oif}
    assert by_gateway <= desired.direct()


def test_a_local_workload_wins_over_a_route_to_its_address() -> None:
    desired = DesiredRoutes(SETTINGS)
    a = Endpoint(EndpointId("WorkloadEndpoint", "ns", "a"), "calia", (ADDRESSES[0],))
    borrowed = Route(ADDRESSES[0], RouteKind.VXLAN, 7, "n")
    desired.fold(Delta(endpoints={a.id: a}, routes={borrowed.destination: borrowed}))
    found = desired.route(ADDRESSES[0], LINKS)
    assert found is not None
    assert found.oif == 5
    desired.fold(Delta(endpoints_removed=frozenset({a.id})))
    found = desired.route(ADDRESSES[0], LINKS)
    assert found is not None
    assert (found.oif, found.gateway) == (9, 7)


def test_a_host_endpoint_gets_no_routes() -> None:
    desired = DesiredRoutes(SETTINGS)
    host = Endpoint(EndpointId("HostEndpoint", "", "eth0"), "eth0", (ADDRESSES[0],))
    touched = desired.fold(Delta(endpoints={host.id: host}))
    assert list(desired.destinations()) == []
    assert touched.interfaces == set()


def test_a_change_of_policy_alone_touches_nothing() -> None:
    desired = DesiredRoutes(SETTINGS)
    a = Endpoint(EndpointId("WorkloadEndpoint", "ns", "a"), "calia", (ADDRESSES[0],))
    desired.fold(Delta(endpoints={a.id: a}))
    other = Endpoint(a.id, a.interface, a.addresses, profiles=("p",))
    assert desired.fold(Delta(endpoints={a.id: other})) == (set(), set())


@pytest.mark.parametrize(
    ("protocol", "interface", "table", "ours"),
    [
        (80, 0, 254, True),
        (80, 3, 254, True),
        (3, 5, 254, True),
        (3, 3, 254, False),  # `ip route add default dev eth0`
        (3, 0, 254, False),
        (4, 5, 254, True),  # RemoveExternalRoutes
        (4, 3, 254, False),
        (2, 5, 254, False),  # the kernel's own: fe80::/64
        (80, 5, 100, False),
    ],
)
def test_what_is_ours_is_known_by_protocol_and_interface(
    protocol: int, interface: int, table: int, ours: bool
) -> None:
    route = KernelRoute(ADDRESSES[0], protocol=protocol, oif=interface, table=table)
    assert is_ours(route, {3: "eth0", 5: "calia"}, SETTINGS) is ours


def test_others_routes_to_workloads_stay_where_that_is_wanted() -> None:
    settings = RouteSettings(remove_external=False)
    for protocol, ours in ((4, False), (3, True)):
        route = KernelRoute(ADDRESSES[0], protocol=protocol, oif=5)
        assert is_ours(route, {5: "calia"}, settings) is ours


def test_what_the_kernel_adds_by_itself_is_no_difference() -> None:
    direct = Route(parse_network("10.1.0.0/26"), RouteKind.DIRECT, 7, "n")
    hole = Route(parse_network("fd00::/122"), RouteKind.BLACKHOLE)
    for route in (direct, hole):
        wanted = cluster_route(route, LINKS, SETTINGS)
        assert wanted is not None
        told = KernelRoute(
            wanted.destination,
            wanted.type,
            80,
            priority=1024,
            oif=3,
            gateway=wanted.gateway,
        )
        assert as_wanted(told, SETTINGS) == wanted


def test_blocks_are_written_before_addresses_and_deleted_after_them() -> None:
    block, single = parse_network("10.0.0.0/26"), ADDRESSES[0]
    hole, device = KernelRoute(block, RTN_BLACKHOLE), KernelRoute(single, oif=5)
    coming = [Change(single, None, device), Change(block, None, hole)]
    going = [Change(block, hole, None), Change(single, device, None)]
    ordered = in_safe_order([*going, *coming])
    assert ordered == [coming[1], coming[0], going[1], going[0]]


def test_the_reverse_path_filter_is_never_off() -> None:
    a = Endpoint(EndpointId("WorkloadEndpoint", "ns", "a"), "calia", ())
    loose = Endpoint(a.id, "calia", (), allowed_sources=(ADDRESSES[0],))
    name = "net/ipv4/conf/calia/rp_filter"
    assert dict(endpoint_settings(a))[name] == "1"
    assert dict(endpoint_settings(loose))[name] == "2"


@pytest.mark.parametrize("kind", [RouteKind.IPIP, RouteKind.PLAIN, RouteKind.ROUTED])
def test_a_route_of_another_kind_is_left_to_whom_it_concerns(kind: RouteKind) -> None:
    route = Route(parse_network("10.65.2.0/26"), kind, 1, "n2")
    assert cluster_route(route, LINKS, SETTINGS) is None


IPV4, IPV6 = parse_network("10.65.2.0/26"), parse_network("fd00:65:2::/122")
OTHER = RouteSettings(
    device_protocol=77,
    cluster_protocol=78,
    priority4=100,
    priority6=200,
    table=50,
    source4=parse_prefix("172.16.1.2"),
    source6=parse_prefix("fd00:1::2"),
)


@pytest.mark.parametrize(
    ("block", "metric", "source"),
    [(IPV4, 100, OTHER.source4), (IPV6, 200, OTHER.source6)],
)
def test_every_route_is_as_the_settings_say(block: Prefix, metric: int, source: Prefix) -> None:
    alone = Prefix.single(block.version, block.address)
    found = device_route(alone, 5, OTHER)
    assert (found.protocol, found.table, found.priority) == (77, 50, metric)
    assert (found.oif, found.source) == (5, source.address)
    for kind in (RouteKind.BLACKHOLE, RouteKind.DIRECT, RouteKind.VXLAN):
        route = cluster_route(Route(block, kind, 9, "n2"), ALL_LINKS, OTHER)
        assert route is not None
        assert (route.protocol, route.table, route.priority) == (78, 50, metric)


@pytest.mark.parametrize(
    ("kind", "settings", "device"),
    [
        (RouteKind.VXLAN, SETTINGS, {4: 9, 6: 10}),
        (RouteKind.IPIP, SETTINGS, {4: 11}),
        (RouteKind.IPIP, RouteSettings(programs_ipip=False), None),
        (RouteKind.DIRECT, SETTINGS, {4: 0, 6: 0}),
        (RouteKind.PLAIN, SETTINGS, None),
        (RouteKind.PLAIN, RouteSettings(programs_plain=True), {4: 0, 6: 0}),
        (RouteKind.ROUTED, RouteSettings(programs_plain=True), None),
    ],
)
def test_each_kind_of_route_has_its_device_or_none_or_is_another_ones(
    kind: RouteKind, settings: RouteSettings, device: dict[int, int] | None
) -> None:
    for block in (IPV4, IPV6):
        if device is not None and block.version not in device:
            continue
        found = cluster_route(Route(block, kind, 9, "n2"), ALL_LINKS, settings)
        if device is None:
            assert found is None
            continue
        assert found is not None
        assert (found.gateway, found.oif) == (9, device[block.version])
        assert found.onlink is bool(found.oif)
        without = cluster_route(Route(block, kind, 9, "n2"), {}, settings)
        assert without == (found if not found.oif else None)  # never by another way


def test_only_what_lies_in_a_block_of_ours_is_dropped_when_nobody_has_it() -> None:
    desired = DesiredRoutes(SETTINGS)
    blocks = [Route(IPV4, RouteKind.BLACKHOLE), Route(IPV6, RouteKind.VXLAN, 9, "n2")]
    desired.fold(Delta(routes={one.destination: one for one in blocks}))
    inside, outside = parse_prefix("10.65.2.9"), parse_prefix("10.65.3.9")
    elsewhere = Prefix.single(6, IPV6.address + 3)
    assert desired.sealed({inside, outside, elsewhere}) == {inside}


def test_a_floating_address_has_a_route_and_comes_and_goes_by_itself() -> None:
    desired, floating = DesiredRoutes(SETTINGS), parse_prefix("192.0.2.1")
    plain = Endpoint(EndpointId("WorkloadEndpoint", "ns", "a"), "calia", (ADDRESSES[0],))
    pair = AddressPair(floating, ADDRESSES[0])
    with_pair = replace(plain, floating=(pair,))
    desired.fold(Delta(endpoints={plain.id: plain}))
    touched = desired.fold(Delta(endpoints={plain.id: with_pair}))
    assert floating in touched.destinations
    assert set(desired.destinations()) == {ADDRESSES[0], floating}
    assert desired.route(floating, LINKS) == device_route(floating, 5, SETTINGS)
    touched = desired.fold(Delta(endpoints={plain.id: plain}))
    assert floating in touched.destinations
    assert set(desired.destinations()) == {ADDRESSES[0]}


def test_other_allowed_sources_and_an_endpoint_that_leaves_are_news_of_the_interface() -> None:
    desired = DesiredRoutes(SETTINGS)
    plain = Endpoint(EndpointId("WorkloadEndpoint", "ns", "a"), "calia", (ADDRESSES[0],))
    desired.fold(Delta(endpoints={plain.id: plain}))
    loose = replace(plain, allowed_sources=(ADDRESSES[1],))
    assert desired.fold(Delta(endpoints={plain.id: loose})).interfaces == {"calia"}
    moved = replace(loose, interface="calib")
    assert desired.fold(Delta(endpoints={plain.id: moved})).interfaces == {"calia", "calib"}
    assert desired.fold(Delta(endpoints_removed=frozenset({plain.id}))).interfaces == {"calib"}
