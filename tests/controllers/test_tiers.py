"""A tier that is deleted waits until no policy is in it."""

import asyncio

import pytest

from servers.kube import KubeServer
from tortie.api import GlobalNetworkPolicy, GlobalNetworkPolicySpec, Key, ObjectMeta
from tortie.api.calico.tier import FIXED, Tier, TierSpec
from tortie.controllers.conditions import condition
from tortie.controllers.tiers import FINALIZER, READY, StillUsed, Tiers
from tortie.datastore import Datastore, NotFound, open_datastore
from tortie.datastore.finalizers import delete_or_mark, finalizers_of
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.settings import CRD_V1, CRD_V3

KEY = Key("Tier", "", "ops")
POLICY = Key("GlobalNetworkPolicy", "", "ops.close")


def policy(name: str, tier: str) -> GlobalNetworkPolicy:
    spec = GlobalNetworkPolicySpec(tier=tier, selector="all()", types=("Ingress",))
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=spec)


async def whole_life(store: Datastore) -> None:
    tiers = Tiers(store)
    await store.create(Tier(metadata=ObjectMeta(name="ops"), spec=TierSpec(order=5)))
    await tiers.reconcile(KEY)
    found = await store.get(KEY)
    assert isinstance(found, Tier)
    assert finalizers_of(found) == (FINALIZER,)
    said = condition(found, READY)
    assert said
    assert (said.status, said.reason) == ("True", "OK")
    await store.create(policy(POLICY.name, "ops"))
    await store.create(policy("default.other", "default"))
    assert not await delete_or_mark(store, KEY)
    with pytest.raises(StillUsed, match=r"GlobalNetworkPolicy\(ops\.close\)"):
        await tiers.reconcile(KEY)
    found = await store.get(KEY)
    assert isinstance(found, Tier)
    assert found.spec.order == 5
    said = condition(found, READY)
    assert said
    assert (said.status, said.reason) == ("False", "Terminating")
    assert "1 policies" in said.message
    await store.delete(POLICY)
    await tiers.reconcile(KEY)
    with pytest.raises(NotFound):
        await store.get(KEY)


def test_in_memory() -> None:
    asyncio.run(whole_life(MemoryDatastore()))


@pytest.mark.parametrize("group", [CRD_V1, CRD_V3])
def test_on_a_kube_apiserver(kube: KubeServer, group: str) -> None:
    async def body() -> None:
        store = await open_datastore(kube.client(group))
        try:
            await whole_life(store)
        finally:
            await store.close()

    asyncio.run(body())


@pytest.mark.parametrize("name", FIXED)
def test_tiers_that_are_always_there_are_not_guarded(name: str) -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(Tier(metadata=ObjectMeta(name=name), spec=FIXED[name]))
        await Tiers(store).reconcile(Key("Tier", "", name))
        found = await store.get(Key("Tier", "", name))
        assert finalizers_of(found) == ()

    asyncio.run(body())
