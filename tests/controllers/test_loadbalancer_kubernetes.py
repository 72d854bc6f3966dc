"""A real API server: the controllers as they run, Services as people write them, BGP beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from servers.kube import KubeServer
from strategies.services import lb_pool
from tortie.api.calico.bgp_configuration import BGPConfigurationSpec, ServiceBlock
from tortie.api.kube.service import Service
from tortie.bgp.cluster import Cluster
from tortie.bgp.services import service_routes
from tortie.controllers.controller import Context, Side, Sides
from tortie.controllers.feed import Feed
from tortie.controllers.live import Live
from tortie.controllers.loadbalancer.controller import CONTROLLER
from tortie.controllers.metrics import Metrics
from tortie.controllers.settings import Settings
from tortie.datastore import Datastore, open_datastore
from tortie.datastore.settings import CRD_V1, CRD_V3, DatastoreSettings
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.net import Prefix, parse_network

SECONDS = 60.0  # for what takes a fraction of one
LBS = "projectcalico.org/loadBalancerIPs"
PATH = "/api/v1/namespaces/shop/services"


class People:
    """Who makes and changes Services; each waits until the controller has done its part."""

    def __init__(self, server: KubeServer) -> None:
        self._api = server.api
        server.namespace("shop")

    async def make(self, name: str, **spec: Any) -> None:
        annotations = spec.pop("annotations", {})
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], **spec},
        }
        await asyncio.to_thread(self._api.request, "POST", PATH, body)

    async def change(self, name: str, body: dict[str, Any]) -> None:
        await asyncio.to_thread(
            self._api.request,
            "PATCH",
            f"{PATH}/{name}",
            body,
            content="application/merge-patch+json",
        )

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._api.request, "DELETE", f"{PATH}/{name}")

    async def until(self, name: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The Service's status, once it is so."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await asyncio.to_thread(self._api.get, f"{PATH}/{name}")
                if holds(found["status"]):
                    return dict(found["status"])
                await asyncio.sleep(0.05)


def addresses(status: dict[str, Any]) -> list[str]:
    return [one["ip"] for one in status["loadBalancer"].get("ingress", [])]


def problem(status: dict[str, Any]) -> str:
    return "".join(one["message"] for one in status.get("conditions", []))


@asynccontextmanager
async def controlling(settings: DatastoreSettings) -> AsyncIterator[Datastore]:
    """The controller, as the daemon runs it."""
    store = await open_datastore(settings)
    kinds = {*CONTROLLER.follows, *CONTROLLER.follows_kubernetes}
    side = Side(store, Feed(store, kinds, print))
    context = Context(
        sides=Sides("kubernetes", True),
        datastore=side,
        kubernetes=side,
        settings=Live(Settings()),
        metrics=Metrics(),
        waiting=print,
    )
    tasks = [asyncio.create_task(side.feed.run()), asyncio.create_task(CONTROLLER.run(context))]
    try:
        yield store
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()


async def story(server: KubeServer, settings: DatastoreSettings) -> None:
    people = People(server)
    async with controlling(settings) as store:
        await store.create(lb_pool("lb", "192.0.2.0/28", block_size=28))
        await people.make("web")
        await people.make("inside", type="ClusterIP")
        await people.make("cloud", loadBalancerClass="example.org/cloud")
        (web,) = addresses(await people.until("web", lambda status: bool(addresses(status))))
        await people.make("other", annotations={LBS: json.dumps([web])})
        said = await people.until("other", lambda status: bool(problem(status)))
        assert "held by Service shop/web" in problem(said)
        await people.change("other", {"metadata": {"annotations": {LBS: '["192.0.2.9"]'}}})
        mended = await people.until("other", lambda status: addresses(status) == ["192.0.2.9"])
        assert problem(mended) == ""
        assert await announced(store) == {f"{web}/32", "192.0.2.9/32"}
        await people.change("other", {"spec": {"type": "ClusterIP"}})
        await people.until("other", lambda status: not addresses(status))
        await people.delete("web")
        await nothing_held(store)
    await people.make("later")  # while nobody controls
    async with controlling(settings) as store:
        await people.until("later", lambda status: bool(addresses(status)))
        assert addresses(await people.until("cloud", bool)) == []
        assert audit(await read_records(store)).findings == ()


async def announced(store: Datastore) -> set[str]:
    """What a node's BGP tells of, made of the Services as they are stored."""
    cluster = Cluster("n1")
    for one in (await store.list("Service")).resources:
        assert isinstance(one, Service)
        cluster.put(one.key, one)
    blocks = (ServiceBlock(cidr="192.0.2.0/24"),)
    spec = BGPConfigurationSpec(
        service_load_balancer_ips=blocks, service_load_balancer_aggregation="Disabled"
    )
    found: tuple[Prefix, ...] = service_routes(cluster, spec, False, []).announced
    return {str(one) for one in found if parse_network("192.0.2.0/24").contains(one)}


async def nothing_held(store: Datastore) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            if not (await store.list("IPAMHandle")).resources:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("group", [CRD_V1, CRD_V3])
def test_services_get_and_give_back_addresses(kube: KubeServer, group: str) -> None:
    asyncio.run(story(kube, kube.client(group)))
