"""The collection's passes: at once where the settings hurry or a node goes, and told by metrics."""

import asyncio

from strategies.controllers import World, drop, eventually, node
from strategies.ipam import pool
from tortie.api import Key
from tortie.controllers import collection
from tortie.controllers.collector import Collector
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


NAMES = (  # as Calico's dashboards know them
    *("ipam_allocations_borrowed", "ipam_allocations_borrowed_per_node"),
    *("ipam_allocations_gc_candidates", "ipam_allocations_gc_reclamations"),
    *("ipam_allocations_in_use", "ipam_allocations_per_node"),
    *("ipam_blocks", "ipam_blocks_per_node", "ipam_ippool_reserved", "ipam_ippool_size"),
)


def test_numbers_have_the_names_that_dashboards_know() -> None:
    async def scenario() -> None:
        world = World()
        await filled(world)
        now = iter(range(9))
        collector = Collector(world.store, 1, lambda: next(now))
        for _ in range(2):
            world.metrics.note(await collector.collect())
        found = {name.partition("{")[0] for name in numbers(world)}
        assert found.issuperset(NAMES)

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

    asyncio.run(scenario())


async def counted(world: World, name: str) -> bool:
    given_back = f'ipam_allocations_gc_reclamations{{ippool="p",node="{name}"}}'
    return numbers(world).get(given_back) == 1
