"""A cluster's first settings: what people have said stays, what nobody said is filled in, once."""

import asyncio
from typing import cast

import pytest

from tortie.api import Key, ObjectMeta, Resource
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.datastore import AlreadyExists, NotFound
from tortie.datastore.memory import MemoryDatastore
from tortie.node.defaults import ensure_felix


def configuration(name: str, spec: FelixConfigurationSpec) -> FelixConfiguration:
    return FelixConfiguration(metadata=ObjectMeta(name=name), spec=spec)


DEBUG = FelixConfigurationSpec(log_severity_screen="Debug")
ACCEPT = FelixConfigurationSpec(default_endpoint_to_host_action="Accept")


async def spec_of(store: MemoryDatastore, name: str) -> FelixConfigurationSpec:
    found = await store.get(Key("FelixConfiguration", "", name))
    return cast(FelixConfiguration, found).spec


def test_a_new_cluster_gets_them_and_a_second_start_changes_nothing() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        for _ in range(2):
            await ensure_felix(store, "n1", True)
            assert (await store.revision()) == 2
        default = await spec_of(store, "default")
        assert (default.reporting_interval, default.log_severity_screen) == ("0s", "Info")
        assert (await spec_of(store, "node.n1")).default_endpoint_to_host_action == "Return"

    asyncio.run(body())


def test_without_configurations_of_nodes_there_is_the_clusters_alone() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await ensure_felix(store, "n1", False)
        with pytest.raises(NotFound):
            await spec_of(store, "node.n1")

    asyncio.run(body())


def test_what_people_have_said_stays_and_the_rest_is_filled_in() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(configuration("default", DEBUG))
        await store.create(configuration("node.n1", ACCEPT))
        await ensure_felix(store, "n1", True)
        default = await spec_of(store, "default")
        assert (default.reporting_interval, default.log_severity_screen) == ("0s", "Debug")
        assert (await spec_of(store, "node.n1")).default_endpoint_to_host_action == "Accept"

    asyncio.run(body())


class Racing(MemoryDatastore):
    """Another node that starts makes the configuration in the same moment."""

    async def create(self, resource: Resource) -> Resource:
        await super().create(configuration(resource.metadata.name, DEBUG))
        raise AlreadyExists("so quick")


def test_nodes_that_start_in_one_moment_agree() -> None:
    async def body() -> None:
        store = Racing()
        await ensure_felix(store, "n1", False)
        default = await spec_of(store, "default")
        assert (default.reporting_interval, default.log_severity_screen) == ("0s", "Debug")

    asyncio.run(body())
