"""Pods come and go on many nodes, nodes die, on real servers: at the end everything adds up.

`TORTIE_SOAK_PODS=10000 TORTIE_SOAK_NODES=50` makes it the long one.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TypeVar

import httpx
import pytest

from servers.etcd import EtcdServer
from servers.kube import KubeServer
from strategies.ipam import pool
from tortie.api import Key, Node, NodeSpec, ObjectMeta
from tortie.cni.records import Records
from tortie.cni.workload import Workload
from tortie.controllers.collector import Collector
from tortie.datastore import AlreadyExists, Datastore, NotFound, Unavailable, open_datastore
from tortie.datastore.settings import DatastoreSettings, EtcdSettings
from tortie.ipam import IPAM, Assignment, AssignRequest
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.net import Prefix

pytestmark = pytest.mark.timeout(3600)  # for the long one; `bounded` is the bound

T = TypeVar("T")
PODS = int(os.environ.get("TORTIE_SOAK_PODS", "160"))
NODES = int(os.environ.get("TORTIE_SOAK_NODES", "8"))
AT_ONCE = 6  # pods of a node
PATIENCE = 10  # attempts
GRACE = 2.0  # rounds: each node begins a step in each


class Cluster:
    """Where nodes and pods are made and go; without Kubernetes a pod is only its endpoint."""

    async def add_node(self, store: Datastore, name: str) -> None:
        with suppress(AlreadyExists):
            await store.create(Node(metadata=ObjectMeta(name=name), spec=NodeSpec()))

    async def remove_node(self, store: Datastore, name: str) -> None:
        with suppress(NotFound):
            await store.delete(Key("Node", "", name))

    async def add_pod(self, workload: Workload) -> None:
        """Whatever there is before the plugin is called."""

    async def remove_pod(self, store: Datastore, workload: Workload) -> None:
        with suppress(NotFound):
            await store.delete(Key(*workload.endpoint))


class KubernetesCluster(Cluster):
    """The same through an API server."""

    def __init__(self, server: KubeServer) -> None:
        self._server = server
        server.namespace("shop")

    async def add_node(self, store: Datastore, name: str) -> None:  # noqa: ARG002 - not through it
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        await self._done("POST", "/api/v1/nodes", body)

    async def remove_node(self, store: Datastore, name: str) -> None:  # noqa: ARG002
        await self._done("DELETE", f"/api/v1/nodes/{name}")

    async def add_pod(self, workload: Workload) -> None:
        spec = {"nodeName": workload.node, "containers": [{"name": "c", "image": "i"}]}
        body = {**self._pod(workload), "spec": spec}
        await self._done("POST", "/api/v1/namespaces/shop/pods", body)

    async def remove_pod(self, store: Datastore, workload: Workload) -> None:  # noqa: ARG002
        path = f"/api/v1/namespaces/shop/pods/{workload.name}?gracePeriodSeconds=0"
        await self._done("DELETE", path)

    async def _done(self, method: str, path: str, body: object = None) -> None:
        """What was done already, by an attempt without an answer, is well."""
        status, found = await asyncio.to_thread(self._server.api.answer, method, path, body)
        assert status < 400 or status in (404, 409), found

    def _pod(self, workload: Workload) -> dict[str, object]:
        metadata = {"name": workload.name, "namespace": "shop"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


class Rounds:
    """A clock that goes on once every node has begun a new step.

    So nothing takes longer than a round, however busy the machine is: an address that is given but
    not yet used is no leak by the collector's clock.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._begun: dict[str, float] = {}

    def begin(self, node: str) -> None:
        self._begun[node] = self.now + 1
        if min(self._begun.values()) > self.now:
            self.now += 1

    def leave(self, node: str) -> None:
        self._begun.pop(node, None)


class Soak:
    """The whole scene."""

    def __init__(self, cluster: Cluster, settings: DatastoreSettings) -> None:
        self.cluster, self.settings = cluster, settings
        self.rounds = Rounds()
        self.left = PODS

    async def play(self) -> None:
        async with opened(self.settings) as store:
            await store.create(pool("p", "10.0.0.0/20", block_size=28))
            await asyncio.gather(*(self._node(number, store) for number in range(NODES)))
            collector = Collector(store, GRACE, lambda: self.rounds.now)
            for _ in range(8):
                self.rounds.now += 1
                await collector.collect()
            assert audit(await read_records(store)).findings == ()

    async def _node(self, number: int, store: Datastore) -> None:
        """A node's life: pods, and collection by the way; some die, and a new one comes."""
        chance, life = Random(number), 0
        while self.left > 0:
            name = f"n{number}-{life}"
            await patiently(lambda name=name: self.cluster.add_node(store, name))
            await self._live(name, chance)
            life += 1
            self.rounds.leave(name)
            await self._die(name, store)

    async def _live(self, name: str, chance: Random) -> None:
        async with opened(self.settings) as store:
            ipam, records = IPAM(store), Records(store)
            pods: list[Workload] = []
            collector = Collector(store, GRACE, lambda: self.rounds.now)
            while self.left > 0 and chance.random() > 0.01:
                self.rounds.begin(name)
                if len(pods) < AT_ONCE and chance.random() < 0.6:
                    pods += await self._add(name, chance.randint(1, 3), ipam, records)
                elif pods:
                    await self._remove(pods.pop(0), store, ipam, chance.random() < 0.3)
                if chance.random() < 0.03:
                    with suppress(Unavailable):  # the daemon tries again at its next turn
                        await collector.collect()
            for pod in pods:
                await patiently(lambda pod=pod: self.cluster.remove_pod(store, pod))

    async def _add(self, node: str, number: int, ipam: IPAM, records: Records) -> list[Workload]:
        """So many pods in one moment."""
        pods = []
        for _ in range(min(number, self.left)):
            self.left -= 1
            pods.append(Workload(node, "shop", f"p{self.left}", "k8s", f"c{self.left}"))
        for pod in pods:
            await patiently(lambda pod=pod: self.cluster.add_pod(pod))
        given = await self._assigned(ipam, pods)
        for pod in pods:
            found = await patiently(lambda pod=pod: records.find(pod))
            texts = tuple(map(str, given[pod.name]))
            await patiently(lambda p=pod, f=found, t=texts: records.write(p, f, "net", t, ""))
            held = await patiently(lambda pod=pod: ipam.addresses_of(f"net.{pod.name}"))
            assert held == given[pod.name]
        return pods

    async def _assigned(self, ipam: IPAM, pods: list[Workload]) -> dict[str, tuple[Prefix, ...]]:
        """As a runtime does where the plugin failed: it has that undone, and asks once more."""
        given: dict[str, tuple[Prefix, ...]] = {}
        while missing := [pod for pod in pods if pod.name not in given]:
            asked = [
                AssignRequest(node=pod.node, handle=f"net.{pod.name}", attributes=pod.attributes)
                for pod in missing
            ]
            answers = await patiently(lambda asked=asked: ipam.lease(asked))
            for pod, answer in zip(missing, answers, strict=True):
                if isinstance(answer, Assignment):
                    given[pod.name] = answer.ips
                    continue
                assert isinstance(answer, Unavailable), answer
                await patiently(lambda pod=pod: ipam.release_by_handle(f"net.{pod.name}"))
        return given

    async def _remove(self, pod: Workload, store: Datastore, ipam: IPAM, lost: bool) -> None:
        """`lost`: the address is not given back, as where the plugin was never called."""
        held = await patiently(lambda: ipam.addresses_of(f"net.{pod.name}"))
        assert len(held) == 1, f"{pod.name} was running, and its address was taken away"
        await patiently(lambda: self.cluster.remove_pod(store, pod))
        if not lost:
            await patiently(lambda: ipam.release_by_handle(f"net.{pod.name}"))

    async def _die(self, name: str, store: Datastore) -> None:
        await patiently(lambda: self.cluster.remove_node(store, name))


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Again where the server did not answer in time: with fifty nodes a small machine is busy."""
    for _ in range(PATIENCE):
        try:
            return await work()
        except (Unavailable, httpx.TransportError):
            await asyncio.sleep(1)
    return await work()


@asynccontextmanager
async def opened(settings: DatastoreSettings) -> AsyncIterator[Datastore]:
    store = await open_datastore(settings)
    try:
        yield store
    finally:
        await store.close()


def bounded(work: Callable[[], Awaitable[None]]) -> None:
    async def body() -> None:
        async with asyncio.timeout(60 + PODS):
            await work()

    asyncio.run(body())


def test_on_etcd(etcd: EtcdServer) -> None:
    bounded(Soak(Cluster(), EtcdSettings(endpoints=(etcd.endpoint,))).play)


@pytest.mark.parametrize("group", ["crd.projectcalico.org/v1"])
def test_on_a_kube_apiserver(kube: KubeServer, group: str) -> None:
    bounded(Soak(KubernetesCluster(kube), kube.client(group)).play)
