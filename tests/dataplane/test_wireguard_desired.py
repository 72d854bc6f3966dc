"""Peers and ways follow from what is known, whatever the order it came in. No kernel."""

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tortie.dataplane.wireguard.desired import DesiredWireguard, Way
from tortie.dataplane.wireguard.settings import WireguardSettings
from tortie.engine.delta import Delta, Host, Pool, Route, RouteKind, WireguardEnd
from tortie.linux.wireguard import Endpoint as WireguardEndpoint
from tortie.net import Prefix, parse_network, parse_prefix
from tortie.policy.program import Endpoint, EndpointId

SETTINGS = WireguardSettings(node="me", run_dir=Path("/nowhere"), enabled=True)
NODES = ("me", "b", "c")
ENDS = [parse_network(f"10.65.{number}.1/32") for number in range(3)]
BLOCKS = [parse_network(f"10.65.{number}.0/26") for number in range(3)]
LENT = [parse_network(f"10.65.{number}.9/32") for number in range(3)]
POOLS = [parse_network(text) for text in ("10.65.0.0/16", "10.65.1.0/26", "172.16.0.0/12")]
ENDPOINTS = [EndpointId("WorkloadEndpoint", "ns", name) for name in "xy"]


def key(number: int) -> str:
    return b64encode(bytes([number]) * 32).decode()


def host(name: str, number: int, *, takes_part: bool = True, at: int = -1) -> Host:
    """A node with its key and with the addresses of its place; `at`: with another one's."""
    place = NODES.index(name) if at < 0 else at
    end = WireguardEnd(key(number), parse_prefix(f"10.65.{place}.1")) if takes_part else None
    return Host(name, parse_prefix(f"172.16.1.{place + 1}/24"), wireguard=end)


def route(destination: Prefix, node: str) -> Route:
    return Route(destination, RouteKind.PLAIN, 7, node)


HOSTS = st.builds(
    host,
    st.sampled_from(NODES),
    st.integers(1, 4),
    takes_part=st.booleans(),
    at=st.integers(-1, 2),
)
ROUTES = st.builds(route, st.sampled_from(BLOCKS + LENT + ENDS), st.sampled_from(NODES[1:]))
WORKLOADS = st.builds(
    Endpoint,
    st.sampled_from(ENDPOINTS),
    st.just("cali0"),
    st.lists(st.sampled_from(LENT), max_size=2, unique=True).map(tuple),
)
DELTAS = st.builds(
    Delta,
    hosts=st.lists(HOSTS, max_size=2).map(lambda found: {one.name: one for one in found}),
    hosts_removed=st.frozensets(st.sampled_from(NODES), max_size=1),
    routes=st.lists(ROUTES, max_size=3).map(lambda found: {one.destination: one for one in found}),
    routes_removed=st.frozensets(st.sampled_from(BLOCKS + LENT + ENDS), max_size=1),
    endpoints=st.lists(WORKLOADS, max_size=1).map(lambda found: {one.id: one for one in found}),
    endpoints_removed=st.frozensets(st.sampled_from(ENDPOINTS), max_size=1),
    pools=st.lists(st.builds(Pool, st.sampled_from(POOLS), assigned=st.booleans()), max_size=2).map(
        lambda found: {one.cidr: one for one in found}
    ),
    pools_removed=st.frozensets(st.sampled_from(POOLS), max_size=1),
).map(
    lambda delta: Delta(
        hosts=delta.hosts,
        hosts_removed=delta.hosts_removed - delta.hosts.keys(),
        routes=delta.routes,
        routes_removed=delta.routes_removed - delta.routes.keys(),
        endpoints=delta.endpoints,
        endpoints_removed=delta.endpoints_removed - delta.endpoints.keys(),
        pools=delta.pools,
        pools_removed=delta.pools_removed - delta.pools.keys(),
    )
)


def whole(deltas: list[Delta]) -> Delta:
    """The one delta that says what all of these leave."""
    hosts: dict[str, Host] = {}
    routes: dict[Prefix, Route] = {}
    endpoints: dict[EndpointId, Endpoint] = {}
    pools: dict[Prefix, Pool] = {}
    for delta in deltas:
        for gone in delta.hosts_removed:
            hosts.pop(gone, None)
        for destination in delta.routes_removed:
            routes.pop(destination, None)
        for endpoint_id in delta.endpoints_removed:
            endpoints.pop(endpoint_id, None)
        hosts |= delta.hosts
        routes |= delta.routes
        endpoints |= delta.endpoints
        for cidr in delta.pools_removed:
            pools.pop(cidr, None)
        pools |= delta.pools
    return Delta(hosts=hosts, routes=routes, endpoints=endpoints, pools=pools)


@given(st.lists(DELTAS, max_size=6), st.booleans())
def test_the_order_makes_no_difference_and_every_difference_is_told(
    deltas: list[Delta], encrypts: bool
) -> None:
    settings = WireguardSettings("me", Path("/nowhere"), True, encrypts_hosts=encrypts)
    step, once = DesiredWireguard(settings), DesiredWireguard(settings)
    ways: dict[Prefix, Way | None] = {}
    peers = step.peers()
    for delta in deltas:
        before, known = {node: step.peer(node) for node in NODES}, step.destinations()
        touched = step.fold(delta)
        for destination in known | step.destinations():
            now = step.way(destination)
            assert now == ways.get(destination) or destination in touched.destinations
            ways[destination] = now
        assert {node for node in NODES if step.peer(node) != before[node]} <= touched.nodes
        peers = step.peers()
        allowed = [one for peer in peers.values() for one in peer.allowed]
        assert len(allowed) == len(set(allowed))  # a device gives each to one peer
    once.fold(whole(deltas))
    assert (once.peers(), once.own) == (peers, step.own)
    found = step.destinations() | once.destinations()
    assert {one: step.way(one) for one in found} == {one: once.way(one) for one in found}


def test_a_node_without_a_key_is_no_peer_and_is_left_to_the_main_table() -> None:
    desired = DesiredWireguard(SETTINGS)
    desired.fold(
        Delta(
            hosts={"me": host("me", 1), "b": host("b", 2), "c": host("c", 3, takes_part=False)},
            routes={
                BLOCKS[1]: route(BLOCKS[1], "b"),
                LENT[1]: route(LENT[1], "c"),
                BLOCKS[2]: route(BLOCKS[2], "c"),
            },
        )
    )
    peer = desired.peer("b")
    assert peer is not None
    assert peer.allowed == {BLOCKS[1], parse_prefix("10.65.1.1")}
    assert desired.peer("c") is None
    assert desired.way(BLOCKS[1]) is Way.DEVICE
    assert desired.way(LENT[1]) is Way.MAIN  # it lies in the other's block
    assert desired.way(BLOCKS[2]) is Way.MAIN


def test_a_public_key_is_one_nodes_and_the_other_is_not_reached_in_clear() -> None:
    desired = DesiredWireguard(SETTINGS)
    routes = {block: route(block, node) for block, node in zip(BLOCKS[1:], ("b", "c"), strict=True)}
    hosts = {"me": host("me", 1), "b": host("b", 2), "c": host("c", 2)}
    desired.fold(Delta(hosts=hosts, routes=routes))
    assert (desired.clash("b"), desired.clash("c")) == (None, "b")
    assert desired.peer("b")
    assert desired.peer("c") is None
    assert desired.way(BLOCKS[2]) is Way.DEVICE
    touched = desired.fold(Delta(hosts={"b": host("b", 1)}))
    assert {"b", "c"} <= touched.nodes
    assert (desired.clash("b"), desired.clash("c")) == ("me", None)
    assert desired.peer("b") is None
    assert desired.peer("c")


def test_what_is_in_a_pool_and_known_of_no_node_is_dropped() -> None:
    """But where workloads get no addresses of it, or machines may have some."""
    desired = DesiredWireguard(SETTINGS)
    for_workloads, of_machines, disabled = (
        parse_network("10.65.0.0/16"),
        *map(parse_network, ("172.16.1.128/25", "10.66.0.0/16")),
    )
    pools = {
        for_workloads: Pool(for_workloads),
        of_machines: Pool(of_machines),
        disabled: Pool(disabled, assigned=False),
    }
    desired.fold(Delta(pools=pools, hosts={"me": host("me", 1)}))
    assert [desired.way(one) for one in pools] == [Way.NOWHERE, None, None]
    touched = desired.fold(Delta(hosts_removed=frozenset({"me"})))
    assert of_machines in touched.destinations
    assert desired.way(of_machines) is Way.NOWHERE
    desired.fold(
        Delta(routes={for_workloads: route(for_workloads, "b")}, hosts={"b": host("b", 2)})
    )
    assert desired.way(for_workloads) is Way.DEVICE  # a pool of one block


def test_nodes_are_behind_the_device_only_where_that_is_wanted() -> None:
    address = parse_prefix("172.16.1.2")
    for encrypts in (False, True):
        settings = WireguardSettings("me", Path("/nowhere"), True, encrypts_hosts=encrypts)
        desired = DesiredWireguard(settings)
        desired.fold(Delta(hosts={"me": host("me", 1), "b": host("b", 2)}))
        peer = desired.peer("b")
        assert peer is not None
        assert (address in peer.allowed) is encrypts
        assert (desired.way(address) is Way.DEVICE) is encrypts


@pytest.mark.parametrize("is_one_delta", [True, False])
def test_a_node_that_comes_anew_by_another_name_is_not_reached_in_clear(is_one_delta: bool) -> None:
    """A machine that is installed again: its Node of before goes later, or at the same moment."""
    address, end = parse_prefix("172.16.1.2"), parse_prefix("10.65.1.1")
    for before, after in (("b", "c"), ("c", "b")):
        settings = WireguardSettings("me", Path("/nowhere"), True, encrypts_hosts=True)
        desired = DesiredWireguard(settings)
        desired.fold(Delta(hosts={"me": host("me", 1), before: host(before, 2, at=1)}))
        came, gone = {after: host(after, 3, at=1)}, frozenset({before})
        if not is_one_delta:
            assert {"b", "c"} <= desired.fold(Delta(hosts=came)).nodes
            assert desired.way(address) is Way.DEVICE
            came = {}
        touched = desired.fold(Delta(hosts=came, hosts_removed=gone))
        assert {address, end} <= touched.destinations
        assert {"b", "c"} <= touched.nodes
        assert [desired.way(one) for one in (address, end)] == [Way.DEVICE, Way.DEVICE]
        [peer] = desired.peers().values()
        assert peer.allowed == {address, end}


def test_other_settings_change_which_addresses_are_behind_the_device() -> None:
    desired = DesiredWireguard(SETTINGS)
    desired.fold(Delta(hosts={"me": host("me", 1), "b": host("b", 2)}))
    address = parse_prefix("172.16.1.2")
    for encrypts in (True, False):
        desired.configure(replace(SETTINGS, encrypts_hosts=encrypts))
        assert (address in desired.destinations()) is encrypts
        assert (desired.way(address) is Way.DEVICE) is encrypts


def test_the_other_ip_version_is_the_other_devices_business() -> None:
    desired = DesiredWireguard(SETTINGS)
    block, pod, pool = (parse_network(f"fd00:65:{last}::/64") for last in "123")
    alone = Prefix.single(6, pod.address)
    end = Endpoint(ENDPOINTS[0], "cali0", (alone,))
    touched = desired.fold(
        Delta(
            hosts={"me": host("me", 1), "b": host("b", 2)},
            routes={block: route(block, "b")},
            endpoints={end.id: end},
            pools={pool: Pool(pool)},
        )
    )
    assert {one.version for one in touched.destinations | desired.destinations()} == {4}
    assert [desired.way(one) for one in (block, alone, pool)] == [None, None, None]
    six = DesiredWireguard(replace(SETTINGS, version=6))
    only4 = Host("c", parse_prefix("172.16.1.3/24"), wireguard=WireguardEnd(key(3)))
    both = Host("b", None, parse_prefix("fd00:1::2/64"), wireguard_v6=WireguardEnd(key(2)))
    six.fold(Delta(hosts={"b": both, "c": only4}, routes={block: route(block, "b")}))
    assert list(six.peers()) == [bytes([2]) * 32]
    assert six.way(block) is Way.DEVICE


def test_what_is_here_and_what_a_block_says_come_before_what_nodes_claim() -> None:
    desired = DesiredWireguard(replace(SETTINGS, encrypts_hosts=True))
    hosts = {"me": host("me", 1), "b": host("b", 2), "c": host("c", 3, takes_part=False)}
    lent = Endpoint(ENDPOINTS[0], "cali0", (LENT[1],))
    told = {one: route(one, node) for one, node in ((ENDS[1], "c"), (LENT[1], "b"))}
    desired.fold(Delta(hosts=hosts, routes=told, endpoints={lent.id: lent}))
    assert desired.way(ENDS[1]) is Way.MAIN  # of a node that takes no part, whoever claims it
    assert desired.way(LENT[1]) is Way.MAIN  # a workload of our own
    assert not {ENDS[0], parse_prefix("172.16.1.1")} & desired.destinations()  # our own
    touched = desired.fold(Delta(routes_removed=frozenset({ENDS[1]})))
    assert "b" in touched.nodes
    assert ENDS[1] in touched.destinations
    assert desired.way(ENDS[1]) is Way.DEVICE


def test_a_peer_is_sent_to_where_our_own_device_listens() -> None:
    desired = DesiredWireguard(replace(SETTINGS, port=51999))
    desired.fold(Delta(hosts={"b": host("b", 2)}))
    [peer] = desired.peers().values()
    assert peer.endpoint == WireguardEndpoint(parse_prefix("172.16.1.2"), 51999)


def test_every_peer_is_kept_alive_as_the_settings_say() -> None:
    desired = DesiredWireguard(SETTINGS)
    desired.fold(Delta(hosts={name: host(name, NODES.index(name) + 1) for name in NODES}))
    assert {peer.keepalive for peer in desired.peers().values()} == {0}
    desired.configure(replace(SETTINGS, keepalive=25))
    assert [peer.keepalive for peer in desired.peers().values()] == [25, 25]
