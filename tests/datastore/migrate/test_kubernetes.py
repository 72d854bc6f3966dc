"""Into a real API server: what it derives, owns or can't name is told before any write."""

import asyncio
import io

from servers.kube import KubeServer
from strategies.migrations import Silent, cluster, contents, exported, fill
from tortie.api import (
    Key,
    Namespace,
    ObjectMeta,
    Pod,
    PodSpec,
    Profile,
    ProfileSpec,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
    with_metadata,
)
from tortie.datastore import open_datastore
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.migrate.importing import carry_out, prepare
from tortie.datastore.migrate.locking import is_locked, unlock


def _of_kubernetes():
    spec = WorkloadEndpointSpec(
        node="n1",
        orchestrator="k8s",
        pod="web",
        endpoint="eth0",
        interface_name="cali1",
        ip_networks=("10.7.0.1/32",),
    )
    name = "n1-k8s-web-eth0"
    return [
        Namespace(metadata=ObjectMeta(name="default")),
        Profile(metadata=ObjectMeta(name="kns.default"), spec=ProfileSpec()),
        Profile(metadata=ObjectMeta(name="kns.gone"), spec=ProfileSpec()),
        Pod(metadata=ObjectMeta(name="web", namespace="default"), spec=PodSpec(node_name="n1")),
        Pod(metadata=ObjectMeta(name="gone", namespace="default"), spec=PodSpec(node_name="n1")),
        WorkloadEndpoint(metadata=ObjectMeta(name=name, namespace="default"), spec=spec),
        WorkloadEndpoint(
            metadata=ObjectMeta(name="n1-k8s-gone-eth0", namespace="default"), spec=spec
        ),
    ]


def test_what_follows_from_others_is_found_or_told(kube: KubeServer):
    kube.namespace("default")
    kube.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "annotations": {"cni.projectcalico.org/podIPs": "10.7.0.1/32"},
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    }
    kube.api.create(pod)

    async def run():
        source, target = MemoryDatastore(), await open_datastore(kube.client())
        await fill(source, [*cluster(), *_of_kubernetes()])
        file = io.BytesIO(await exported(source))
        before = await contents(target)
        prepared = await prepare(target, file, Silent())
        assert await contents(target) == before
        assert not prepared.plan.blocked
        told = {problem.key for problem in prepared.plan.unkept}
        assert told == {
            Key("Profile", "", "kns.gone"),
            Key("Pod", "default", "gone"),
            Key("WorkloadEndpoint", "default", "n1-k8s-gone-eth0"),
        }
        assert prepared.plan.follows["WorkloadEndpoint"] == 1
        assert not (await carry_out(target, file, prepared, Silent())).problems
        assert await is_locked(target)
        assert (await target.get(Key("Node", "", "n1"))).spec.bgp.as_number == 64512
        await unlock(target)
        again = await prepare(target, file, Silent())
        assert again.nothing_to_do
        await target.close()

    asyncio.run(run())


def test_without_its_namespace_a_policy_stops_the_import(kube: KubeServer):
    async def run():
        source, target = MemoryDatastore(), await open_datastore(kube.client())
        policy = next(one for one in cluster() if one.kind == "NetworkPolicy")
        await fill(source, [with_metadata(policy, namespace="absent")])
        prepared = await prepare(target, io.BytesIO(await exported(source)), Silent())
        (problem,) = prepared.plan.blocked
        assert "there is no namespace 'absent'" in problem.reason
        assert not await contents(target, ["Namespace", "Service", "EndpointSlice"])
        await target.close()

    asyncio.run(run())
