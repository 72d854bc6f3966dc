"""The collection's passes: at once where the settings hurry or a node goes, and told by metrics."""

import asyncio

import pytest

from strategies.controllers import World, drop, eventually, node, settings_with
from strategies.ipam import pool
from tortie.api import IPReservation, IPReservationSpec, Key, ObjectMeta
from tortie.controllers import collection
from tortie.controllers.collector import Collector
from tortie.controllers.controller import Context, Sides
from tortie.datastore import Listing, Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AssignRequest


async def filled(world: World) -> None:
    """Two nodes; addresses of pods that are not there on both, and one in another's block."""
    await world.store.create(pool("p", "10.0.0.0/28", block_size=29))
    for name in ("n1", "n2"):
        await world.store.create(node(name))
    ipam = IPAM(world.store)
    for count, name in ((9, "n1"), (1, "n2")):
        about = {"namespace": "shop", "pod": "web", "node": name}
        request = AssignRequest(node=name, handle=f"net.{name}", count4=count, attributes=about)
        assert len((await ipam.auto_assign(request)).ips) == count


def numbers(world: World) -> dict[str, float]:
    """The metrics, each with its labels, as they stand on the page."""
    lines = world.metrics.page().body.decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_numbers_are_by_pool_and_node_under_the_names_that_dashboards_know() -> None:
    """The whole page: a pool and node without any is 0, and what is of none is told as such."""

    async def scenario() -> None:
        world = World()
        await filled(world)
        reserved = IPReservationSpec(reserved_cidrs=("10.0.0.14/31",))
        await world.store.create(IPReservation(metadata=ObjectMeta(name="r"), spec=reserved))
        for each in (pool("gone", "10.1.0.0/28", block_size=29), node("n3")):
            await world.store.create(each)
        ipam = IPAM(world.store)
        for about in ({}, {"node": "n1"}):
            asked = AssignRequest(
                node="n3", handle="net.n3", pools4=("10.1.0.0/28",), attributes=about
            )
            await ipam.auto_assign(asked)
        await world.store.delete(Key("IPPool", "", "gone"))
        collector = Collector(world.store, 900)
        world.metrics.note(await collector.collect())
        world.metrics.failed()
        found = {name: value for name, value in numbers(world).items() if "ipam_" in name}
        assert found == {
            'ipam_allocations_in_use{ippool="p",node="n1"}': 9,
            'ipam_allocations_in_use{ippool="p",node="n2"}': 1,
            'ipam_allocations_in_use{ippool="no_ippool",node="n1"}': 1,
            'ipam_allocations_in_use{ippool="no_ippool",node="unknown_node"}': 1,
            'ipam_allocations_borrowed{ippool="p",node="n1"}': 0,
            'ipam_allocations_borrowed{ippool="p",node="n2"}': 1,
            'ipam_allocations_borrowed{ippool="no_ippool",node="n1"}': 1,
            'ipam_allocations_gc_candidates{ippool="p",node="n1"}': 9,
            'ipam_allocations_gc_candidates{ippool="p",node="n2"}': 1,
            'ipam_blocks{ippool="p",node="n1"}': 2,
            'ipam_ippool_size{ippool="p"}': 16,
            'ipam_ippool_reserved{ippool="p"}': 2,
            'ipam_allocations_per_node{node="n1"}': 10,
            'ipam_allocations_per_node{node="n2"}': 1,
            'ipam_allocations_per_node{node="unknown_node"}': 1,
            'ipam_allocations_borrowed_per_node{node="n1"}': 1,
            'ipam_allocations_borrowed_per_node{node="n2"}': 1,
            'ipam_blocks_per_node{node="n1"}': 2,
            "ipam_gc_failures": 1,
        }
        await ipam.release_by_handle("net.n1")
        world.metrics.note(await collector.collect())
        found = numbers(world)
        assert found['ipam_allocations_in_use{ippool="p",node="n1"}'] == 0
        assert found['ipam_allocations_gc_candidates{ippool="p",node="n1"}'] == 0
        await ipam.release_node("n1")
        world.metrics.note(await collector.collect())
        found = numbers(world)
        assert found['ipam_blocks{ippool="p",node="no_affinity"}'] == 1
        nobodys = [name for name in found if "no_affinity" in name]
        assert all(name.startswith("ipam_blocks") for name in nobodys)

    asyncio.run(scenario())


def test_what_was_given_back_is_counted_over_all_passes() -> None:
    async def scenario() -> None:
        world = World()
        await filled(world)
        now = iter(range(0, 90, 10))
        collector = Collector(world.store, 1, lambda: next(now))
        ipam = IPAM(world.store)
        for given_back in (0, 9, 9, 10):
            world.metrics.note(await collector.collect())
            found = numbers(world)
            name = 'ipam_allocations_gc_reclamations{ippool="p",node="n1"}'
            assert found.get(name, 0) == given_back
            if given_back and not await ipam.addresses_of("net.n1"):
                about = {"namespace": "shop", "pod": "web", "node": "n1"}
                again = AssignRequest(node="n1", handle="net.n1", attributes=about)
                await ipam.auto_assign(again)

    asyncio.run(scenario())


def test_a_gone_nodes_addresses_come_back_long_before_the_next_pass(monkeypatch) -> None:
    monkeypatch.setattr(collection, "_SOON", 0.01)

    async def scenario() -> None:
        world = World()
        await filled(world)

        async def looked() -> bool:
            return "ipam_ippool_size" in world.metrics.page().body.decode()

        async def back() -> bool:
            return not await IPAM(world.store).addresses_of("net.n2")

        async with world.running():
            await eventually(looked)
            found = numbers(world)
            await drop(world.store, Key("Node", "", "n2"))
            await eventually(back)
            await eventually(lambda: counted(world, "n2"))
        assert found['ipam_ippool_size{ippool="p"}'] == 16
        assert found['ipam_allocations_in_use{ippool="p",node="n1"}'] == 9
        assert found['ipam_allocations_in_use{ippool="p",node="n2"}'] == 1
        assert found['ipam_allocations_gc_candidates{ippool="p",node="n1"}'] == 9
        assert found['ipam_blocks{ippool="p",node="n1"}'] == 2
        assert found['ipam_allocations_borrowed{ippool="p",node="n1"}'] == 0
        assert found['ipam_allocations_borrowed{ippool="p",node="n2"}'] == 1
        assert found['ipam_allocations_per_node{node="n1"}'] == 9
        assert found["ipam_gc_failures"] == 0
        assert len(await IPAM(world.store).addresses_of("net.n1")) == 9  # its grace is not over
        left = {name.partition("{")[0] for name in numbers(world) if name.startswith("ipam_")}
        assert left == {"ipam_allocations_gc_reclamations", "ipam_gc_failures"}  # another leads

    asyncio.run(scenario())


def test_after_a_gone_node_looks_are_rare_again(monkeypatch) -> None:
    """Some come soon; then one waits for its period, which is minutes."""
    monkeypatch.setattr(collection, "_SOON", 0)

    async def scenario() -> None:
        world = World()
        context = Context(
            sides=Sides("memory", False),
            datastore=None,
            kubernetes=None,
            settings=world.settings,
            metrics=world.metrics,
            waiting=print,
        )
        pace = collection._Pace(context)
        for _ in range(2):
            pace.node_went()
            for _ in range(3):
                await asyncio.wait_for(pace.next(), 60)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pace.next(), 0.05)
        woken = asyncio.ensure_future(pace.next())
        await asyncio.sleep(0)
        world.settings.put(settings_with(True))
        await asyncio.wait_for(woken, 60)

    asyncio.run(scenario())


class Away(MemoryDatastore):
    """A datastore that does not answer at times, when it is asked for blocks."""

    away = False

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        if self.away and kind == "IPAMBlock":
            raise Unavailable("no answer from 192.0.2.1")
        return await super().list(kind, namespace)


def test_a_pass_that_fails_is_told_by_health_and_metrics_until_one_succeeds(monkeypatch) -> None:
    monkeypatch.setattr(collection, "_AFTER_FAILURE", 0.01)
    reason = f"{collection.CONTROLLER.name}: no answer from 192.0.2.1"

    async def scenario() -> None:
        store = Away()
        world = World(store)
        await filled(world)

        async def failed() -> bool:
            return numbers(world)["ipam_gc_failures"] > 1 and reason in world.health.not_ready()

        async def fine() -> bool:
            return world.health.is_ready and "ipam_ippool_size" in str(world.metrics.page().body)

        store.away = True
        async with world.running():
            await eventually(failed)
            assert world.health.not_live() == []  # a restart would not help
            store.away = False
            await eventually(fine)

    asyncio.run(scenario())


async def counted(world: World, name: str) -> bool:
    given_back = f'ipam_allocations_gc_reclamations{{ippool="p",node="{name}"}}'
    return numbers(world).get(given_back) == 1
