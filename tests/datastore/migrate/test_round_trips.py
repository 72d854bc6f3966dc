"""What is exported from one datastore is in the other, and nothing else."""

import asyncio
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.etcd import EtcdServer, etcd_server
from servers.kube import KubeServer
from strategies.migrations import (
    RELEASE,
    Silent,
    cluster,
    contents,
    exported,
    fill,
    imported,
    kubernetes_objects,
)
from strategies.resources import any_resource
from tortie.api import KINDS, Resource, with_metadata
from tortie.datastore import open_datastore
from tortie.datastore.cluster import CLUSTER
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.migrate.importing import prepare
from tortie.datastore.migrate.locking import is_locked, lock, mark_on, unlock
from tortie.datastore.settings import CRD_V1, CRD_V3
from tortie.datastore.sqlite import SqliteDatastore


def _named(resource: Resource, name: str) -> Resource:
    namespace = "default" if KINDS[resource.kind].namespaced else ""
    return with_metadata(resource, name=name, namespace=namespace, uid="", resource_version="")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=st.lists(any_resource(), max_size=6))
def test_any_set_of_objects_is_the_same_in_sqlite_and_back(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("store") / "tortie.db"
    named = [_named(one, f"n{number}") for number, one in enumerate(found)]

    async def run():
        first, second, third = (
            MemoryDatastore(),
            await SqliteDatastore.open(path),
            MemoryDatastore(),
        )
        await fill(first, named)
        for source, target in ((first, second), (second, third)):
            _, differences = await imported(target, await exported(source))
            assert not differences.problems
        assert len(await contents(third)) == len(named) + 4  # the cluster and its tiers
        assert await contents(third) == await contents(first) == await contents(second)
        await second.close()

    asyncio.run(run())


def test_sqlite_to_etcd_to_sqlite(tmp_path: Path, etcd: EtcdServer):
    async def run():
        first = await open_datastore(tmp_path / "a" / "tortie.db")
        second = await open_datastore(etcd.client)
        third = await open_datastore(tmp_path / "b" / "tortie.db")
        await fill(first, cluster() + kubernetes_objects())
        for source, target in ((first, second), (second, third)):
            _, differences = await imported(target, await exported(source))
            assert not differences.problems
        assert await contents(first, ["BlockAffinity"]) == await contents(third, ["BlockAffinity"])
        assert await contents(second) == await contents(third)
        assert await is_locked(third)
        assert not await mark_on(third)
        assert await first.get(CLUSTER) != await third.get(CLUSTER)  # its own uid
        for store in (first, second, third):
            await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("group", [CRD_V1, CRD_V3])
def test_etcd_to_kubernetes_to_etcd(etcd: EtcdServer, kube: KubeServer, group: str):
    kube.namespace("default")
    kube.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})

    async def run():
        with etcd_server() as other:
            first = await open_datastore(etcd.client)
            second = await open_datastore(kube.client(group))
            third = await open_datastore(other.client)
            await fill(first, cluster())
            prepared, differences = await imported(second, await exported(first))
            assert not prepared.plan.unkept
            assert not differences.problems
            _, differences = await imported(third, await exported(second))
            assert not differences.problems
            of_kubernetes = ["Namespace", "KubernetesNode", "Service", "EndpointSlice", "Node"]
            before, after = [await contents(s, of_kubernetes) for s in (first, third)]
            assert {**before, CLUSTER: b""} == {**after, CLUSTER: b""}
            node = [(await s.list("Node")).resources[0] for s in (first, third)]
            assert node[0].spec.bgp == node[1].spec.bgp
            assert node[1].metadata.labels["rack"] == "7"
            for store in (first, second, third):
                await store.close()

    asyncio.run(run())


def test_what_is_there_and_equal_is_passed_over():
    async def run():
        first, second = MemoryDatastore(), MemoryDatastore()
        await fill(first, cluster())
        data = await exported(first)
        await imported(second, data)
        await unlock(second)
        revision = await second.revision()
        prepared = await prepare(second, io.BytesIO(data), Silent())
        assert prepared.nothing_to_do
        assert await second.revision() == revision

    asyncio.run(run())


def test_a_fresh_cluster_s_own_objects_are_in_nobody_s_way():
    async def run():
        first, second = MemoryDatastore(), MemoryDatastore()
        await fill(first, cluster())
        await lock(second, RELEASE)  # makes ClusterInformation and the fixed tiers
        _, differences = await imported(second, await exported(first))
        assert not differences.problems
        assert await contents(first) == await contents(second)

    asyncio.run(run())
