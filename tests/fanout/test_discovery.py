"""Which servers a client tries, and in which order; how many clients are a server's share."""

import asyncio

import pytest

from fanout.serving import until
from tortie.api import Node, NodeSpec, ObjectMeta
from tortie.api.kube.endpoint_slice import (
    EndpointConditions,
    EndpointSlice,
    EndpointSlicePort,
    ServiceEndpoint,
)
from tortie.datastore.memory import MemoryDatastore
from tortie.fanout.discovery import Server, at_address, behind_service, in_order
from tortie.fanout.rebalancing import share, watch_share
from tortie.fanout.server_settings import ServerSettings


def piece(name, *backends, service="calico-typha", port_name="calico-typha"):
    return EndpointSlice(
        metadata=ObjectMeta(
            name=name, namespace="kube-system", labels={"kubernetes.io/service-name": service}
        ),
        address_type="IPv4",
        endpoints=tuple(
            ServiceEndpoint(
                addresses=(address,),
                node_name=node,
                conditions=EndpointConditions(ready=ready) if ready is not None else None,
            )
            for address, node, ready in backends
        ),
        ports=(
            EndpointSlicePort(name="other", port=1),
            EndpointSlicePort(name=port_name, port=5473),
        ),
    )


async def cluster(*pieces, nodes=0):
    store = MemoryDatastore()
    for one in pieces:
        await store.create(one)
    for number in range(nodes):
        await store.create(Node(metadata=ObjectMeta(name=f"n{number}"), spec=NodeSpec()))
    return store


def test_ready_endpoints_of_the_service_are_found_each_once():
    async def go():
        store = await cluster(
            piece("a", ("10.0.0.1", "n1", True), ("10.0.0.2", "n2", False)),
            piece("b", ("10.0.0.3", "n3", None), ("10.0.0.1", "n1", True)),
            piece("c", ("10.0.0.4", "n4", True), service="dns"),
            piece("d", ("10.0.0.5", "n5", True), port_name="metrics"),
        )
        found = await behind_service(store, "calico-typha", "kube-system")()
        assert sorted(found) == [Server("10.0.0.1", 5473, "n1"), Server("10.0.0.3", 5473, "n3")]
        assert await behind_service(store, "calico-typha", "elsewhere")() == []

    asyncio.run(go())


def test_the_local_server_comes_first_and_the_others_in_an_order_of_their_own():
    servers = [Server(f"10.0.0.{n}", 5473, f"n{n}") for n in range(6)]
    firsts = {in_order(servers, "n3")[0] for _ in range(20)}
    assert firsts == {servers[3]}
    assert len({tuple(in_order(servers, "n3")) for _ in range(20)}) > 1
    backwards = in_order(servers, "", shuffle=list.reverse)
    assert backwards == servers[::-1], "without a node nobody is local"
    unknown = [Server("10.0.0.9", 5473, "")]
    assert in_order([*unknown, *servers], "", shuffle=lambda _: None)[0] == unknown[0]


def test_an_address_is_one_server():
    assert asyncio.run(at_address("typha", 5473)()) == [Server("typha", 5473)]
    assert str(Server("fd00::1", 5473)) == "[fd00::1]:5473"


@pytest.mark.parametrize(
    ("servers", "nodes", "limit"),
    [
        (0, 1000, 10_000),  # it can't see itself: nobody is sent away
        (1, 1000, 10_000),
        (2, 1000, 3603),
        (4, 1000, 1203),
        (4, 10, 400),
        (2, 100_000, 10_000),
    ],
)
def test_a_share_allows_for_one_server_less_and_a_fifth_more(servers, nodes, limit):
    assert share(servers, nodes, 400, 10_000) == limit


def test_the_share_follows_the_cluster_and_is_the_most_where_it_can_t_be_seen():
    async def go():
        store = await cluster(
            piece("a", ("10.0.0.1", "n1", True), ("10.0.0.2", "n2", True)), nodes=10
        )
        limits = []
        settings = ServerSettings(least_limit=3, poll_interval=0.0)
        task = asyncio.create_task(watch_share(store, settings, limits.append))
        await until(lambda: limits == [39])
        await store.close()
        await until(lambda: limits == [39, 10_000])
        task.cancel()

    asyncio.run(go())
