"""A real API server beside a real etcd: what follows from Kubernetes, through either's outage."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from controllers.daemons import Daemon, configured, daemons, until
from servers.etcd import EtcdServer
from servers.kube import KubeServer
from strategies.controllers import eventually, node
from strategies.services import lb_pool
from tortie.api import Key, ObjectMeta, Profile, ProfileSpec, WorkloadEndpoint, WorkloadEndpointSpec
from tortie.datastore import Datastore, Gone, open_datastore
from tortie.install.rights import CONTROLLERS_ON_ETCD
from tortie.install.rights.roles import STORAGE, binding, cluster_role

ENDPOINT = Key("WorkloadEndpoint", "shop", "n1-k8s-web-eth0")
VARIABLES = {
    "RECONCILER_PERIOD": "1s",
    "ENABLED_CONTROLLERS": "node,policy,profile,serviceaccount,workloadendpoint,loadbalancer",
}


def core(kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    labels = more.pop("labels", {})
    return {"apiVersion": "v1", "kind": kind, "metadata": {**meta, "labels": labels}, **more}


def policy(name: str, label: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": label}}},
    }


ADMIN = {
    "apiVersion": "policy.networking.k8s.io/v1alpha1",
    "kind": "AdminNetworkPolicy",
    "metadata": {"name": "guard"},
    "spec": {
        "priority": 7,
        "subject": {"namespaces": {}},
        "ingress": [{"action": "Deny", "from": [{"namespaces": {}}]}],
    },
}


def account(kube: KubeServer) -> str:
    """A kubeconfig with the rights that the manifests give where etcd has the resources."""
    kube.account("kube-system", "calico-kube-controllers")
    kube.api.apply([cluster_role(CONTROLLERS_ON_ETCD, STORAGE), binding(CONTROLLERS_ON_ETCD)])
    return kube.kubeconfig(token=kube.token("kube-system", "calico-kube-controllers"))


def scene(kube: KubeServer) -> None:
    kube.api.create(core("Node", "n1", labels={"rack": "a"}))
    kube.api.create(core("Namespace", "shop", labels={"team": "x"}))
    kube.account("shop", "robot")
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
    kube.api.create(core("Pod", "web", "shop", labels={"app": "web"}, spec=spec))
    kube.api.create(policy("p", "web"))
    kube.api.create(ADMIN)
    ports = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    kube.api.create(core("Service", "web", "shop", spec=ports))


def on(etcd: EtcdServer, work: Callable[[Datastore], Awaitable[None]]) -> None:
    async def body() -> None:
        store = await open_datastore(etcd.client)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(body())


async def revisions(store: Datastore) -> dict[Key, str]:
    """Everything that the controllers write, with its revision."""
    kinds = ("NetworkPolicy", "Profile", "WorkloadEndpoint", "Node", "HostEndpoint")
    found = [one for kind in kinds for one in (await store.list(kind)).resources]
    return {one.key: one.metadata.resource_version for one in found}


async def selector_is(store: Datastore, label: str) -> bool:
    found = (await store.list("NetworkPolicy", "shop")).resources
    return [getattr(one, "spec").selector for one in found] == [  # noqa: B009
        f"projectcalico.org/orchestrator == 'k8s' && app == '{label}'"
    ]


async def labels_are(store: Datastore, key: Key, **labels: str) -> bool:
    found = (await store.get(key)).metadata.labels
    return all(found.get(name) == value for name, value in labels.items())


async def made(store: Datastore) -> None:
    """The scene's picture, with what the node and the plugin had written."""
    await configured(store)
    endpoint = WorkloadEndpointSpec(
        node="n1", orchestrator="k8s", pod="web", endpoint="eth0", ip_networks=("10.0.0.1/32",)
    )
    await store.create(lb_pool("lb", "192.0.2.0/28", block_size=28, namespace_selector="all()"))
    await store.create(node("n1", "n1"))
    await store.create(node("bare"))
    own = Profile(metadata=ObjectMeta(name="kns.gone"), spec=ProfileSpec())
    await store.create(own)  # of a namespace that went while nobody looked
    meta = ObjectMeta(name=ENDPOINT.name, namespace="shop", labels={"app": "old"})
    await store.create(WorkloadEndpoint(metadata=meta, spec=endpoint))


async def is_made(store: Datastore) -> bool:
    profiles = {one.metadata.name for one in (await store.list("Profile")).resources}
    return (
        await selector_is(store, "web")
        and [one.metadata.name for one in (await store.list("GlobalNetworkPolicy")).resources]
        == ["kanp.adminnetworkpolicy.guard"]
        and {"kns.shop", "ksa.shop.robot"} <= profiles
        and "kns.gone" not in profiles
        and await labels_are(store, ENDPOINT, app="web")
        and await labels_are(store, Key("Node", "", "n1"), rack="a")
        and {one.metadata.name for one in (await store.list("HostEndpoint")).resources}
        == {"n1-auto-hep", "bare-auto-hep"}
    )


def test_it_all_follows_through_outages(fresh_kube, etcd, tmp_path: Path) -> None:
    scene(fresh_kube)
    on(etcd, made)
    (tmp_path / "kubeconfig").write_text(account(fresh_kube))
    some = ("--datastore", f"etcd:{etcd.endpoint}", "--kubernetes", str(tmp_path / "kubeconfig"))
    with daemons(tmp_path, (*some, "--lease-seconds", "2"), environ=VARIABLES) as (daemon,):
        on(etcd, lambda store: eventually(lambda: is_made(store)))
        service = "/api/v1/namespaces/shop/services/web"
        until(lambda: fresh_kube.api.get(service)["status"]["loadBalancer"], "it has an address")
        until(lambda: "200" in daemon.readiness(), "it is ready")
        _etcd_is_away(fresh_kube, etcd, daemon)
        _kubernetes_is_away(fresh_kube, etcd)
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(60) == 0
        refused = daemon.said("no right")  # before the role was in force, and no more later
    before: dict[Key, str] = {}
    on(etcd, lambda store: _taken(store, before))
    with daemons(tmp_path, (*some, "--lease-seconds", "2"), environ=VARIABLES) as (daemon,):
        until(lambda: "200" in daemon.readiness(), "it is ready")
        fresh_kube.api.request("DELETE", "/api/v1/nodes/n1")
        on(etcd, lambda store: eventually(lambda: _node_is_gone(store)))
        on(etcd, lambda store: _unchanged(store, before))
        assert daemon.said("no right") == refused


async def _taken(store: Datastore, into: dict[Key, str]) -> None:
    into.update(await revisions(store))


def _etcd_is_away(kube: KubeServer, etcd: EtcdServer, daemon: Daemon) -> None:
    etcd.kill()
    path = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/p"
    kube.api.request("PUT", path, policy("p", "other"))
    until(lambda: "503" in daemon.readiness(), "it tells of the outage")
    etcd.restart()
    on(etcd, lambda store: eventually(lambda: selector_is(store, "other")))


def _kubernetes_is_away(kube: KubeServer, etcd: EtcdServer) -> None:
    """Nothing goes meanwhile, and what changed before it came back follows."""
    kube.kill()
    on(etcd, _stays_while_asked)
    kube.start()
    pod = kube.api.get("/api/v1/namespaces/shop/pods/web")
    pod["metadata"]["labels"] = {"app": "new"}
    kube.api.request("PUT", "/api/v1/namespaces/shop/pods/web", pod)
    on(etcd, lambda store: eventually(lambda: labels_are(store, ENDPOINT, app="new")))


async def _stays_while_asked(store: Datastore) -> None:
    """A profile that somebody deletes comes back: the controllers go on with what they know."""
    await store.delete(Key("Profile", "", "kns.shop"))

    async def back() -> bool:
        names = {one.metadata.name for one in (await store.list("Profile")).resources}
        return {"kns.shop", "ksa.shop.robot"} <= names

    await eventually(back)
    assert await selector_is(store, "other")


async def _node_is_gone(store: Datastore) -> bool:
    found = {key for key in await revisions(store) if "n1" in key.name}
    return not found


async def _unchanged(store: Datastore, before: dict[Key, str]) -> None:
    """What was right was not written again, though a new process looked at everything."""
    now = await revisions(store)
    kept = {key: version for key, version in before.items() if "n1" not in key.name}
    assert now == kept


def test_etcd_forgets_what_is_older_than_a_period(etcd, tmp_path: Path) -> None:
    first: list[int] = []

    async def write(store: Datastore) -> None:
        await configured(store)
        await store.create(node("n"))
        first.append(await store.revision())

    async def is_forgotten(store: Datastore) -> bool:
        await store.update(node("n"))
        try:
            async with asyncio.timeout(0.2):
                async for _ in store.watch(("Node",), first[0]):
                    return False
        except Gone:
            return True
        except TimeoutError:
            pass
        return False

    on(etcd, write)
    some = ("--datastore", f"etcd:{etcd.endpoint}", "--kubernetes", "none")
    variables = {"COMPACTION_PERIOD": "100ms", "LOG_LEVEL": "debug"}
    with daemons(tmp_path, some, environ=variables) as (daemon,):
        on(etcd, lambda store: eventually(lambda: is_forgotten(store)))
        until(lambda: daemon.said("compacted"), "it says so")
