"""Collection on a datastore: leaks go, what is in use stays, whatever happens in between."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.ipam import ask, blocks_in, check_consistent, configuration, pool
from strategies.services import lb_pool
from tortie.api import (
    IPAMHandle,
    IPAMHandleSpec,
    Key,
    Node,
    NodeSpec,
    ObjectMeta,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.controllers.collector import Collector
from tortie.datastore import Datastore
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AssignRequest, IpamError
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records

POOL = pool("p", "10.0.0.0/24", block_size=28)
GRACE = 900.0


class World:
    """A cluster whose clock goes on by ten minutes with each pass."""

    def __init__(self, store: Datastore) -> None:
        self.store, self.ipam = store, IPAM(store)
        self.now = 0.0
        self.collector = Collector(store, GRACE, lambda: self.now)

    async def pass_by(self) -> int:
        """A pass; how many addresses it gave back."""
        self.now += 600
        return len((await self.collector.collect()).released)

    async def add_node(self, name: str) -> None:
        await self.store.create(Node(metadata=ObjectMeta(name=name), spec=NodeSpec()))

    async def add_pod(self, name: str, node: str) -> None:
        """As the plugin does: first the address, then the endpoint."""
        about = {"namespace": "shop", "pod": name, "node": node}
        asked = AssignRequest(node=node, handle=f"net.{name}", attributes=about)
        (address,) = (await self.ipam.auto_assign(asked)).ips
        spec = WorkloadEndpointSpec(node=node, ip_networks=(str(address),))  # type: ignore[call-arg]
        metadata = ObjectMeta(namespace="shop", name=name)
        await self.store.create(WorkloadEndpoint(metadata=metadata, spec=spec))

    async def lose_pod(self, name: str) -> None:
        """The pod goes, and nobody gives its address back."""
        await self.store.delete(Key("WorkloadEndpoint", "shop", name))


def run(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(POOL)
        world = World(store)
        await world.add_node("n1")
        await scenario(world)
        await check_consistent(store)

    asyncio.run(body())


def test_a_lost_address_comes_back_and_the_used_one_stays() -> None:
    async def scenario(world: World) -> None:
        await world.add_pod("web", "n1")
        await world.add_pod("lost", "n1")
        await world.lose_pod("lost")
        assert [await world.pass_by() for _ in range(3)] == [0, 0, 1]
        found = audit(await read_records(world.store))
        assert [one.handle for one in found.allocations] == ["net.web"]
        assert found.findings == ()

    run(scenario)


def test_a_gone_nodes_addresses_and_blocks_come_back() -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n2")
        await world.add_pod("web", "n2")
        await world.lose_pod("web")
        await world.store.delete(Key("Node", "", "n2"))
        for _ in range(4):
            await world.pass_by()
        assert await blocks_in(world.store) == []
        assert audit(await read_records(world.store)).findings == ()

    run(scenario)


def test_a_node_keeps_its_last_block_though_it_is_empty() -> None:
    async def scenario(world: World) -> None:
        await world.ipam.auto_assign(ask(count4=40))
        await world.ipam.release_by_handle("h1")
        assert len(await blocks_in(world.store)) == 3
        for _ in range(3):
            await world.pass_by()
        assert len(await blocks_in(world.store)) == 1

    run(scenario)


def test_a_block_that_is_empty_in_one_look_alone_stays() -> None:
    async def scenario(world: World) -> None:
        await world.ipam.auto_assign(ask(count4=40))
        await world.ipam.release_by_handle("h1")
        await world.pass_by()
        assert len(await blocks_in(world.store)) == 3
        await world.ipam.auto_assign(ask(count4=40))
        await world.pass_by()
        await world.ipam.release_by_handle("h1")
        await world.pass_by()
        assert len(await blocks_in(world.store)) == 3

    run(scenario)


def test_load_balancers_keep_one_empty_block_too() -> None:
    async def scenario(world: World) -> None:
        await world.store.create(lb_pool("lb", "192.0.2.0/28", block_size=30))
        request = ask(count4=12, handle="lb-x", use="LoadBalancer", pools4=("lb",))
        await world.ipam.auto_assign(request)
        await world.ipam.release_by_handle("lb-x")
        assert len(await blocks_in(world.store)) == 3
        for _ in range(3):
            await world.pass_by()
        (block,) = await blocks_in(world.store)
        assert block.spec.affinity == "virtual:load-balancer"

    run(scenario)


def test_a_handle_that_holds_nothing_goes_after_the_grace_period() -> None:
    async def scenario(world: World) -> None:
        spec = IPAMHandleSpec(handle_id="h", block={"10.0.0.0/28": 1})
        await world.store.create(IPAMHandle(metadata=ObjectMeta(name="h"), spec=spec))
        counts = []
        for _ in range(3):
            await world.pass_by()
            counts.append(len((await world.store.list("IPAMHandle")).resources))
        assert counts == [1, 1, 0]

    run(scenario)


def test_a_handle_that_is_raised_meanwhile_stays() -> None:
    async def scenario(world: World) -> None:
        found = await world.store.create(
            IPAMHandle(
                metadata=ObjectMeta(name="h1"), spec=IPAMHandleSpec(handle_id="h1", block={})
            )
        )
        assert isinstance(found, IPAMHandle)
        held = (await world.ipam.auto_assign(ask())).ips
        assert not await world.ipam.forget_handle(found)
        assert await world.ipam.addresses_of("h1") == held

    run(scenario)


def test_what_cooled_down_is_free_again() -> None:
    async def scenario(world: World) -> None:
        await world.store.create(configuration(ip_cooldown_seconds=1))
        old = IPAM(world.store, lambda: "2001-01-01T00:00:00Z")
        await old.auto_assign(ask())
        await old.release_by_handle("h1")
        assert (await world.collector.collect()).found.cooling == 1
        assert (await world.collector.collect()).found.cooling == 0

    run(scenario)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_however_pods_and_nodes_come_and_go_nothing_in_use_is_taken(seed: int) -> None:
    asyncio.run(_soak(MemoryDatastore(), Random(seed), nodes=4, steps=60))


@pytest.mark.parametrize("at_once", [1, 3])
def test_collectors_beside_each_other_do_no_harm(at_once: int) -> None:
    asyncio.run(_soak(MemoryDatastore(), Random(at_once), nodes=3, steps=80, at_once=at_once))


async def _soak(store: Datastore, chance: Random, nodes: int, steps: int, at_once: int = 1) -> None:
    """Pods and nodes come and go, some without giving anything back; at the end all adds up."""
    await store.create(POOL)
    world = World(store)
    there = [f"n{number}" for number in range(nodes)]
    for name in there:
        await world.add_node(name)
    others = [Collector(store, GRACE, lambda: world.now) for _ in range(at_once - 1)]
    pods: dict[str, str] = {}
    for step in range(steps):
        await _step(world, chance, there, pods, step)
        if chance.random() < 0.3:
            world.now += 600
            await asyncio.gather(*(one.collect() for one in (world.collector, *others)))
            found = audit(await read_records(store))
            assert [one for one in found.findings if one.what in ("unallocated", "doubled")] == []
            await check_consistent(store)
    for _ in range(5):
        await world.pass_by()
    assert audit(await read_records(store)).findings == ()


async def _step(
    world: World, chance: Random, there: list[str], pods: dict[str, str], step: int
) -> None:
    match chance.choice(["come", "come", "go", "lost", "node dies"]):
        case "come" if there:
            node = chance.choice(there)
            try:
                await world.add_pod(f"p{step}", node)
            except IpamError:
                return  # all is held or leaked at the moment
            pods[f"p{step}"] = node
        case "go" if pods:
            name = chance.choice(sorted(pods))
            del pods[name]
            await world.lose_pod(name)
            await world.ipam.release_by_handle(f"net.{name}")
        case "lost" if pods:
            name = chance.choice(sorted(pods))
            del pods[name]
            await world.lose_pod(name)
        case "node dies" if len(there) > 1:
            node = there.pop()
            await world.store.delete(Key("Node", "", node))
            for name in [name for name, where in pods.items() if where == node]:
                del pods[name]
                await world.lose_pod(name)
