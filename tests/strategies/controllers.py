"""Clusters for the controllers' tests: stores in memory, with controllers for a while."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tortie.api import Key, Node, NodeSpec, ObjectMeta, Resource
from tortie.api.calico.kube_controllers import (
    AutoHostEndpoints,
    Controllers,
    HostEndpointTemplate,
    KubeControllersConfigurationSpec,
    NodeController,
)
from tortie.api.calico.node import OrchRef
from tortie.api.kube.node import KubernetesNode
from tortie.controllers.controller import Sides
from tortie.controllers.live import Live
from tortie.controllers.metrics import Metrics
from tortie.controllers.running import Reign
from tortie.controllers.settings import Settings, merged
from tortie.daemon.health import Health
from tortie.datastore import Datastore, DatastoreError, NotFound
from tortie.datastore.memory import MemoryDatastore

HISTORIES = int(os.environ.get("TORTIE_HISTORIES", "25"))
"""How many random histories a property of the controllers is tried with."""

PATIENCE = 60.0  # seconds: generous, for a machine with much else to do


class Unsure(MemoryDatastore):
    """Kubernetes, in which objects of a kind are there but can't be read any more."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    async def get(self, key: Key) -> Resource:
        if key.kind == self._kind:
            raise DatastoreError(f"{key} can't be read")
        return await super().get(key)


def node(name: str, machine: str = "", **labels: str) -> Node:
    """A Calico Node; of a machine of Kubernetes if `machine` names one."""
    refs = (OrchRef(node_name=machine, orchestrator="k8s"),) if machine else ()
    return Node(metadata=ObjectMeta(name=name, labels=labels), spec=NodeSpec(orch_refs=refs))


def machine(name: str, **labels: str) -> KubernetesNode:
    """A Node of Kubernetes."""
    return KubernetesNode(metadata=ObjectMeta(name=name, labels=labels))


def template(name: str, selector: str = "", pattern: str = "", *cidrs: str) -> HostEndpointTemplate:
    """A template of host endpoints."""
    return HostEndpointTemplate(
        generate_name=name,
        node_selector=selector,
        interface_pattern=pattern,
        interface_cidrs=cidrs,
    )


def settings_with(
    endpoints: bool = False,
    *templates: HostEndpointTemplate,
    default: bool = True,
    labels: bool = True,
) -> Settings:
    """All controllers, with these settings of nodes."""
    made = AutoHostEndpoints(
        auto_create="Enabled" if endpoints else "Disabled",
        create_default_host_endpoint="Enabled" if default else "Disabled",
        templates=templates,
    )
    part = NodeController(host_endpoint=made, sync_labels="Enabled" if labels else "Disabled")
    spec = KubeControllersConfigurationSpec(controllers=Controllers(node=part))
    names = "node,policy,namespace,serviceaccount,workloadendpoint"
    return merged(spec, {"ENABLED_CONTROLLERS": names}, "sqlite")


class World:
    """A datastore, Kubernetes beside it, and the controllers' settings."""

    def __init__(self, store: Datastore | None = None, kubernetes: Datastore | None = None) -> None:
        self.store = store or MemoryDatastore()
        self.kubernetes = kubernetes or MemoryDatastore()
        self.settings = Live(settings_with())
        self.health, self.metrics = Health(), Metrics()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The controllers run meanwhile; at the end they stop as by a crash."""
        reign = Reign(
            Sides("sqlite", True),
            self.store,
            self.kubernetes,
            self.settings,
            self.health,
            self.metrics,
        )
        task = asyncio.ensure_future(reign.run())
        try:
            yield
            if task.done():
                task.result()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def all(self, kind: str) -> dict[str, Resource]:
        """What the datastore holds of a kind, by name."""
        return {one.metadata.name: one for one in (await self.store.list(kind)).resources}


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    """Wait until a condition of the stores holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not so within {seconds} s: {condition}")


async def put(store: Datastore, resource: Resource) -> None:
    """As a person applies it."""
    try:
        await store.get(resource.key)
    except NotFound:
        await store.create(resource)
    else:
        await store.update(resource)


async def drop(store: Datastore, key: Key) -> None:
    """As a person deletes it, there or not."""
    with suppress(NotFound):
        await store.delete(key)
