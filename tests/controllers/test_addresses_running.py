"""Pools, tiers and load balancers' addresses, as all controllers run beside each other."""

import asyncio

from msgspec.structs import replace

from strategies.controllers import World
from strategies.ipam import ask, blocks_in, pool
from strategies.services import condition as lacking
from strategies.services import held_of, lb_pool, service
from tortie.api import IPPool, Key, ObjectMeta, Resource
from tortie.api.calico.tier import Tier, TierSpec
from tortie.api.kube.service import Service
from tortie.controllers import tiers
from tortie.controllers.conditions import condition
from tortie.controllers.loadbalancer.status import shown
from tortie.controllers.settings import merged
from tortie.datastore import Datastore, NotFound
from tortie.datastore.finalizers import delete_or_mark, finalizers_of
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM
from tortie.ipam.retiring import FINALIZER, retire_pool
from tortie.ipam.standing import ALLOCATABLE

WEB, OTHER = Key("Service", "shop", "web"), Key("Service", "shop", "other")
SECONDS = 60.0


class Looking:
    """One object, looked at until it is as it is to be."""

    def __init__(self, store: Datastore, key: Key) -> None:
        self._store, self._key = store, key

    async def get(self) -> Resource | None:
        try:
            return await self._store.get(self._key)
        except NotFound:
            return None

    async def guarded(self, finalizer: str) -> None:
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.get()
                if found and finalizer in finalizers_of(found):
                    return
                await asyncio.sleep(0.01)

    async def says(self, reason: str) -> None:
        """Why a pool gives no addresses, or a Service has none."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.get()
                if isinstance(found, IPPool):
                    said = condition(found, ALLOCATABLE)
                    if said and said.reason == reason:
                        return
                if isinstance(found, Service) and lacking(found).get("reason", "") == reason:
                    return
                await asyncio.sleep(0.01)

    async def shows(self, count: int) -> Service:
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.get()
                if isinstance(found, Service) and len(shown(found)) == count:
                    return found
                await asyncio.sleep(0.01)

    async def gone(self) -> None:
        async with asyncio.timeout(SECONDS):
            while True:
                if await self.get() is None:
                    return
                await asyncio.sleep(0.01)


def world() -> World:
    """Kubernetes beside another datastore: Services are there, pools are here."""
    made = World(MemoryDatastore(), MemoryDatastore())
    made.settings.put(merged(None, {}, "sqlite"))
    return made


def test_pools_and_tiers_are_guarded_and_go_when_nobody_uses_them() -> None:
    async def body() -> None:
        here = world()
        store = here.store
        await store.create(pool("p", "10.0.0.0/24"))
        await store.create(Tier(metadata=ObjectMeta(name="ops"), spec=TierSpec()))
        a_pool, a_tier = Key("IPPool", "", "p"), Key("Tier", "", "ops")
        async with here.running():
            await Looking(store, a_pool).guarded(FINALIZER)
            await Looking(store, a_tier).guarded(tiers.FINALIZER)
            await IPAM(store).auto_assign(ask())
            (block,) = await blocks_in(store)
            other = {"10.0.0.0/26", "10.0.0.64/26"} - {block.spec.cidr}
            await store.create(pool("late", other.pop()))
            await Looking(store, Key("IPPool", "", "late")).says("CIDROverlap")
            await retire_pool(store, a_pool)
            await Looking(store, a_pool).says("Terminating")
            await delete_or_mark(store, a_tier)
            await Looking(store, a_tier).gone()
            await IPAM(store).release_by_handle("h1")
            await Looking(store, a_pool).gone()
            await Looking(store, Key("IPPool", "", "late")).says("OK")  # nothing is in its way now

    asyncio.run(body())


def test_services_follow_pools_settings_and_each_other() -> None:
    async def body() -> None:
        here = world()
        services = here.kubernetes
        await services.create(service())
        await services.create(service("other"))
        async with here.running():
            await Looking(services, WEB).says("NoPool")
            await here.store.create(lb_pool("lb", "192.0.2.0/32", block_size=32))
            async with asyncio.timeout(SECONDS):
                done, _ = await asyncio.wait(
                    [asyncio.create_task(Looking(services, key).shows(1)) for key in (WEB, OTHER)],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            winner = done.pop().result()
            loser = OTHER if winner.key == WEB else WEB
            await Looking(services, loser).says("NoAddress")
            await services.delete(winner.key)
            got = await Looking(services, loser).shows(1)
            assert shown(got) == shown(winner)
            await Looking(services, loser).says("")
            spec = here.settings.current.running
            assert spec
            only = merged(spec, {"ENABLED_CONTROLLERS": "node,loadbalancer"}, "sqlite")
            here.settings.put(replace(only, every_service=False))
            await Looking(services, loser).shows(0)
            async with asyncio.timeout(SECONDS):  # it leaves the status first
                while True:
                    if not await held_of(here.store, got):
                        return
                    await asyncio.sleep(0.01)

    asyncio.run(body())
