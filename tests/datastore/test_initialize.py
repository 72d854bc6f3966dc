"""What a cluster's datastore is given at first, and what it says of the cluster's release."""

import asyncio

import pytest

from datastore.conftest import Check
from datastore.test_contract_many import others
from strategies.datastore import Backend
from tortie.api import ObjectMeta, Resource, Tier, TierSpec
from tortie.api.calico.cluster_information import ClusterInformation, ClusterInformationSpec
from tortie.api.validation import validate
from tortie.datastore import Datastore, Forbidden, Unavailable
from tortie.datastore.cluster import CLUSTER, other_version
from tortie.datastore.initialize import ensure_initialized, initialize_in_time
from tortie.datastore.memory import MemoryDatastore

TIERS = [("default", 1e6, "Deny"), ("kube-admin", 1e3, "Pass"), ("kube-baseline", 1e7, "Pass")]


async def information(store: Datastore) -> ClusterInformationSpec:
    found = await store.get(CLUSTER)
    assert isinstance(found, ClusterInformation)
    return found.spec


async def tiers(store: Datastore) -> list[tuple[str, float | None, str]]:
    found = (await store.list("Tier")).resources
    return [
        (tier.metadata.name, tier.spec.order, tier.spec.default_action)
        for tier in found
        if isinstance(tier, Tier)
    ]


def cluster(**fields: str | bool) -> ClusterInformation:
    return ClusterInformation(
        metadata=ObjectMeta(name="default"),
        spec=ClusterInformationSpec(**fields),  # type: ignore[arg-type] # of the right types
    )


def test_an_empty_store_gets_the_cluster_and_its_tiers(check: Check) -> None:
    async def scenario(store: Datastore) -> None:
        await ensure_initialized(store, "1.2.0")
        spec = await information(store)
        assert (spec.calico_version, spec.cluster_type) == ("1.2.0", "tortie")
        assert spec.datastore_ready is True
        assert len(spec.cluster_guid) == 32
        assert await tiers(store) == TIERS
        stored: list[Resource] = [await store.get(CLUSTER), *(await store.list("Tier")).resources]
        assert [validate(each) for each in stored] == [()] * 4

    check(scenario)


def test_many_at_once_make_one_cluster_and_the_second_time_nothing(
    check: Check, backend: Backend
) -> None:
    async def scenario(store: Datastore) -> None:
        async with others(backend, store, 4) as stores:
            await asyncio.gather(*(ensure_initialized(each, "1.2.0") for each in stores * 3))
        before = await store.get(CLUSTER), (await store.list("Tier")).resources
        await ensure_initialized(store, "1.2.0")
        assert (await store.get(CLUSTER), (await store.list("Tier")).resources) == before
        assert await tiers(store) == TIERS

    check(scenario)


@pytest.mark.parametrize(
    ("stored", "version"),
    [
        ("1.2.0", "1.10.0"),
        ("v1.9", "1.10.0"),
        ("1.11.0", "1.11.0"),
        ("", "1.10.0"),
        ("x", "1.10.0"),
    ],
)
def test_the_newest_release_is_the_clusters(stored: str, version: str) -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(cluster(calico_version=stored, cluster_type="k8s,tortie"))
        await ensure_initialized(store, "1.10.0")
        assert (await information(store)).calico_version == version

    asyncio.run(body())


def test_another_programs_cluster_becomes_ours_and_keeps_what_it_is() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(
            cluster(
                cluster_guid="g", calico_version="v3.32.0", cluster_type="k8s", variant="Calico"
            )
        )
        await store.create(Tier(metadata=ObjectMeta(name="default"), spec=TierSpec(order=7)))
        await ensure_initialized(store, "1.2.0")
        assert await information(store) == ClusterInformationSpec(
            cluster_guid="g",
            calico_version="1.2.0",
            cluster_type="k8s,tortie",
            variant="Calico",
            datastore_ready=True,
        )
        assert ("default", 7, "Deny") in await tiers(store)

    asyncio.run(body())


def test_a_locked_store_stays_locked() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(cluster(datastore_ready=False))
        await ensure_initialized(store, "1.2.0")
        assert (await information(store)).datastore_ready is False

    asyncio.run(body())


def test_what_is_malformed_is_left_to_people() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.put_raw(CLUSTER, b"no JSON")
        await store.put_raw(Tier(metadata=ObjectMeta(name="default"), spec=TierSpec()).key, b"{")
        await ensure_initialized(store, "1.2.0")
        assert await store.raw(CLUSTER) == b"no JSON"
        assert [name for name, _, _ in await tiers(store)] == ["kube-admin", "kube-baseline"]
        assert await other_version(store, "1.2.0") == ""

    asyncio.run(body())


class _Failing(MemoryDatastore):
    """A store that refuses the first attempts to create."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self._failures = list(failures)

    async def create(self, resource: Resource) -> Resource:
        if self._failures:
            raise self._failures.pop(0)
        return await super().create(resource)


def test_a_store_that_is_away_is_waited_for() -> None:
    async def body() -> None:
        store = _Failing(Unavailable("away"), Unavailable("still away"))
        await initialize_in_time(store, "1.2.0", pytest.fail)
        assert await tiers(store) == TIERS

    asyncio.run(body())


def test_what_may_not_be_written_is_a_warning() -> None:
    async def body() -> None:
        told: list[str] = []
        await initialize_in_time(_Failing(Forbidden("user x may not")), "1.2.0", told.append)
        assert len(told) == 1
        assert "user x may not" in told[0]

    asyncio.run(body())


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (cluster(calico_version="1.2.0", cluster_type="tortie"), ""),
        (cluster(calico_version="v1.2.0"), ""),
        (cluster(calico_version="1.3.0", cluster_type="k8s,tortie"), "1.3.0"),
        (cluster(calico_version="v9"), "v9"),
        (cluster(calico_version="v3.32.0", cluster_type="k8s,bgp"), ""),
        (cluster(cluster_guid="g"), ""),
        (None, ""),
    ],
)
def test_another_release_is_told_from_ones_own(
    stored: ClusterInformation | None, found: str
) -> None:
    async def body() -> None:
        store = MemoryDatastore()
        if stored is not None:
            await store.create(stored)
        assert await other_version(store, "1.2.0") == found

    asyncio.run(body())
