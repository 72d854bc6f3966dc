"""What the Kubernetes datastore promises beyond the contract, against a real API server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from servers.kube import KubeServer
from strategies.datastore import changes_until, first_events, network_set, revision_of
from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    IPAMHandle,
    IPAMHandleSpec,
    IPPool,
    Key,
    NetworkSet,
    Node,
    NodeBgp,
    ObjectMeta,
    Pod,
    Resource,
    Tier,
    TierSpec,
    WorkloadEndpoint,
    with_metadata,
)
from tortie.datastore import (
    AlreadyExists,
    Conflict,
    DatastoreError,
    Deleted,
    Forbidden,
    Invalid,
    NotFound,
    Put,
)
from tortie.datastore.kubernetes import KubernetesDatastore
from tortie.datastore.kubernetes.places import place_of
from tortie.datastore.settings import CRD_V1, CRD_V3, KubernetesSettings
from tortie.ipam import IPAM, AssignRequest

Store = KubernetesDatastore
Scenario = Callable[[Store], Awaitable[Any]]
POD = "/api/v1/namespaces/default/pods"
NODE = "/api/v1/nodes"


def run(settings: KubernetesSettings, scenario: Scenario) -> None:
    async def body() -> None:
        store = await KubernetesDatastore.open(settings)
        try:
            async with asyncio.timeout(60):
                await scenario(store)
        finally:
            await store.close()

    asyncio.run(body())


def pod(name: str = "web", node: str = "n1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "b"}]}],
            "tolerations": [{"key": "x", "operator": "Exists"}],
            **spec,
        },
    }


def with_address(kube: KubeServer, name: str, address: str) -> None:
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    content = "application/merge-patch+json"
    kube.api.request("PATCH", f"{POD}/{name}/status", {"status": status}, content=content)


def machine(kube: KubeServer, name: str = "n1", **metadata: Any) -> None:
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, **metadata}}
    kube.api.request("POST", NODE, {**body, "spec": {"podCIDR": "10.9.0.0/24"}})


# Both groups


@pytest.mark.parametrize("group", [CRD_V1, CRD_V3])
def test_objects_live_in_both_groups(kube: KubeServer, group: str) -> None:
    async def scenario(store: Store) -> None:
        made = await store.create(network_set("a", app="x"))
        changed = await store.update(with_metadata(made, labels={"app": "y"}))
        assert changed.metadata.uid == made.metadata.uid
        assert (await store.list("NetworkSet")).resources == (changed,)
        assert await store.delete(made.key, revision_of(changed)) == changed
        events = await changes_until(
            store, ["NetworkSet"], revision_of(made), revision_of(changed) + 1
        )
        assert [type(event) for event in events] == [Put, Deleted]

    run(kube.client(group), scenario)
    found = kube.api.get(place_of("NetworkSet", group, False).collection())
    assert found["items"] == []


def test_the_stored_object_of_the_first_group_is_as_calico_has_it(kube: KubeServer) -> None:
    async def scenario(store: Store) -> None:
        made = await store.create(network_set("a", app="x"))
        raw = kube.api.get(place_of("NetworkSet", CRD_V1, False).path(made.key))
        assert "labels" not in raw["metadata"]
        kept = json.loads(raw["metadata"]["annotations"]["projectcalico.org/metadata"])
        assert kept["labels"] == {"app": "x"}
        assert raw["metadata"]["uid"] != made.metadata.uid

    run(kube.client(CRD_V1), scenario)


def test_a_field_of_a_newer_version_survives_a_rewrite(kube: KubeServer) -> None:
    path = place_of("NetworkSet", CRD_V1, False).path(network_set("a").key)

    async def scenario(store: Store) -> None:
        made = await store.create(network_set("a"))
        raw = kube.api.get(path)
        raw["spec"] = {"nets": ["10.0.0.0/8"], "newer": [{"a": 1}]}
        kube.api.request("PUT", path, raw)
        found = cast(NetworkSet, await store.get(made.key))
        assert found.spec.nets == ("10.0.0.0/8",)
        await store.update(with_metadata(found, labels={"app": "y"}))
        assert kube.api.get(path)["spec"] == {"nets": ["10.0.0.0/8"], "newer": [{"a": 1}]}

    run(kube.client(CRD_V1), scenario)


def test_a_status_is_written_where_the_api_keeps_it_apart(kube: KubeServer) -> None:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Made",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    body = {"metadata": {"name": "t"}, "spec": {"order": 5}, "status": {"conditions": [condition]}}
    tier = msgspec.convert(body, Tier)

    async def scenario(store: Store) -> None:
        made = await store.create(tier)
        assert cast(Tier, await store.get(tier.key)).status == tier.status
        cleared = msgspec.structs.replace(cast(Tier, made), status=None)
        await store.update(cleared)
        assert not getattr(cast(Tier, await store.get(tier.key)).status, "conditions", None)

    run(kube.client(CRD_V3), scenario)


def test_the_server_judges_what_is_written(kube: KubeServer) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(Invalid, match=r"refuses NetworkSet\(default/A_b\).*metadata\.name"):
            await store.create(network_set("A_b"))
        with pytest.raises(Invalid, match="there is no namespace nowhere: create it first"):
            await store.create(network_set("a", "nowhere"))
        with pytest.raises(DatastoreError, match="needs metadata"):
            await store.create(network_set("a", ""))

    run(kube.client(CRD_V3), scenario)


# Address management


def _affinity() -> BlockAffinity:
    spec = BlockAffinitySpec(state="confirmed", node="n1", type="host", cidr="10.0.0.0/26")
    return BlockAffinity(metadata=ObjectMeta(name="n1-10-0-0-0-26"), spec=spec)


@pytest.mark.parametrize("group", [CRD_V1, CRD_V3])
def test_what_addresses_hang_on_is_marked_before_it_goes(kube: KubeServer, group: str) -> None:
    async def scenario(store: Store) -> None:
        made = cast(BlockAffinity, await store.create(_affinity()))
        since = revision_of(made)
        assert await store.delete(made.key, since) == made
        with pytest.raises(NotFound):
            await store.get(made.key)
        events = await changes_until(store, ["BlockAffinity"], since, since + 2)
        marked, gone = events
        assert isinstance(marked, Put)
        assert cast(BlockAffinity, marked.resource).spec.deleted
        assert gone == Deleted(made.key, gone.revision)

    run(kube.client(group), scenario)


def test_a_half_done_deletion_is_finished_by_who_creates_anew(kube: KubeServer) -> None:
    place = place_of("BlockAffinity", CRD_V1, False)

    async def scenario(store: Store) -> None:
        made = await store.create(_affinity())
        raw = kube.api.get(place.path(made.key))
        assert raw["spec"]["deleted"] == "false"
        raw["spec"]["deleted"] = "true"
        kube.api.request("PUT", place.path(made.key), raw)
        again = cast(BlockAffinity, await store.create(_affinity()))
        assert again.metadata.uid != made.metadata.uid
        assert not again.spec.deleted
        with pytest.raises(AlreadyExists):
            await store.create(_affinity())

    run(kube.client(CRD_V1), scenario)


def test_a_deletion_of_what_moved_on_marks_nothing(kube: KubeServer) -> None:
    handle = IPAMHandle(
        metadata=ObjectMeta(name="h"), spec=IPAMHandleSpec(handle_id="h", block={"10.0.0.0/26": 1})
    )

    async def scenario(store: Store) -> None:
        made = cast(IPAMHandle, await store.create(handle))
        spec = msgspec.structs.replace(made.spec, block={"10.0.0.0/26": 2})
        changed = await store.update(msgspec.structs.replace(made, spec=spec))
        with pytest.raises(Conflict):
            await store.delete(made.key, revision_of(made))
        assert await store.get(made.key) == changed

    run(kube.client(), scenario)


@pytest.mark.parametrize("group", [CRD_V1, CRD_V3])
def test_addresses_are_given_out_and_taken_back(kube: KubeServer, group: str) -> None:
    body = {"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/24", "blockSize": 28}}

    async def scenario(store: Store) -> None:
        await store.create(msgspec.convert(body, IPPool))
        ipam = IPAM(store)
        requests = [
            AssignRequest(node=f"n{number % 2}", handle=f"H{number}") for number in range(6)
        ]
        given = await asyncio.gather(*map(ipam.auto_assign, requests))
        assert len({each.ips for each in given}) == 6
        for request in requests:
            assert await ipam.release_by_handle(request.handle)
        for node in ("n0", "n1"):
            await ipam.release_node(node)
        for kind in ("IPAMBlock", "BlockAffinity", "IPAMHandle"):
            assert (await store.list(kind)).resources == ()

    run(kube.client(group), scenario)


def test_a_write_of_what_somebody_else_wrote_meanwhile_is_a_conflict(kube: KubeServer) -> None:
    async def scenario(store: Store) -> None:
        made = await store.create(network_set("a"))
        other = await KubernetesDatastore.open(kube.client())
        changed = await other.update(with_metadata(made, labels={"by": "other"}))
        for attempt in (store.update(made), store.delete(made.key, revision_of(made))):
            with pytest.raises(Conflict):
                await attempt
        await other.delete(made.key)
        await other.close()
        with pytest.raises(NotFound):
            await store.update(changed)

    run(kube.client(), scenario)


# Core objects


def test_a_pods_addresses_are_recorded_and_nothing_else_changes(kube: KubeServer) -> None:
    kube.api.request("POST", POD, pod())
    before = kube.api.get(f"{POD}/web")
    key = Key("Pod", "default", "web")

    async def scenario(store: Store) -> None:
        found = cast(Pod, await store.get(key))
        own = {"cni.projectcalico.org/podIP": "10.0.0.5/32", "cni.projectcalico.org/podIPs": "x"}
        wanted = with_metadata(found, annotations={**found.metadata.annotations, **own})
        updated = await store.update(wanted)
        assert updated.metadata.annotations == own
        with pytest.raises(Conflict):
            await store.update(wanted)
        after = kube.api.get(f"{POD}/web")
        assert after["spec"] == before["spec"]
        assert after["metadata"]["labels"] == before["metadata"]["labels"]
        with pytest.raises(Invalid, match="only annotations of"):
            await store.update(with_metadata(updated, labels={}))
        cleared = await store.update(with_metadata(updated, annotations={}))
        assert cleared.metadata.annotations == {}

    run(kube.client(), scenario)


def test_an_endpoint_is_its_pod(kube: KubeServer) -> None:
    kube.api.request("POST", POD, pod("web-1"))
    kube.api.request("POST", POD, pod("host", hostNetwork=True))
    key = Key("WorkloadEndpoint", "default", "n1-k8s-web--1-eth0")

    async def scenario(store: Store) -> None:
        assert (await store.list("WorkloadEndpoint")).resources == ()
        since = await store.revision()
        with_address(kube, "web-1", "10.0.0.5")
        async with aclosing(store.watch(["WorkloadEndpoint"], since)) as watch:
            (put,) = await first_events(watch)
        assert put.key == key
        found = cast(WorkloadEndpoint, await store.get(key))
        assert found.spec.ip_networks == ("10.0.0.5/32",)
        assert (await store.list("WorkloadEndpoint")).resources == (found,)
        spec = msgspec.structs.replace(found.spec, container_id="c1", ip_networks=("10.0.0.6/32",))
        await store.update(msgspec.structs.replace(found, spec=spec))
        annotations = kube.api.get(f"{POD}/web-1")["metadata"]["annotations"]
        assert annotations == {
            "cni.projectcalico.org/containerID": "c1",
            "cni.projectcalico.org/podIP": "10.0.0.6",
            "cni.projectcalico.org/podIPs": "10.0.0.6",
        }
        with pytest.raises(NotFound):
            await store.get(key._replace(name="n2-k8s-web--1-eth0"))
        with pytest.raises(DatastoreError, match="delete that instead"):
            await store.delete(key)

    run(kube.client(), scenario)


def test_profiles_are_namespaces_and_service_accounts(kube: KubeServer) -> None:
    kube.namespace("shop")
    kube.account("shop", "web")

    async def scenario(store: Store) -> None:
        names = {found.metadata.name for found in (await store.list("Profile")).resources}
        assert {"kns.shop", "kns.default", "ksa.shop.web"} <= names
        found = await store.get(Key("Profile", "", "ksa.shop.web"))
        assert revision_of(found) > 0
        with pytest.raises(Invalid, match="follows from a Namespace"):
            await store.update(found)
        with pytest.raises(NotFound):
            await store.get(Key("Profile", "", "kns.nowhere"))

    run(kube.client(), scenario)


def test_a_node_is_its_machine_with_annotations(kube: KubeServer) -> None:
    machine(kube, labels={"os": "linux"}, annotations={"theirs": "1"})
    key = Key("Node", "", "n1")

    async def scenario(store: Store) -> None:
        found = cast(Node, await store.get(key))
        assert found.metadata.labels == {"os": "linux"}
        spec = msgspec.structs.replace(found.spec, bgp=NodeBgp(ipv4_address="192.168.0.1/24"))
        since = await store.revision()
        updated = await store.create(msgspec.structs.replace(found, spec=spec))
        assert cast(Node, updated).spec.bgp == spec.bgp
        with pytest.raises(AlreadyExists):
            await store.create(updated)
        raw = kube.api.get(f"{NODE}/n1")
        assert raw["metadata"]["annotations"] == {
            "theirs": "1",
            "projectcalico.org/IPv4Address": "192.168.0.1/24",
        }
        assert raw["metadata"]["labels"] == {"os": "linux"}
        assert raw["spec"]["podCIDR"] == "10.9.0.0/24"
        (event,) = await changes_until(store, ["Node"], since, revision_of(updated))
        assert event == Put(key, updated, revision_of(updated))
        with pytest.raises(Conflict):
            await store.update(found)
        with pytest.raises(Invalid, match="kubelet registers, and there is none yet"):
            await store.create(with_metadata(found, name="n2"))

    run(kube.client(), scenario)


def test_the_store_is_known_by_its_system_namespace(kube: KubeServer) -> None:
    uid = kube.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]

    async def scenario(store: Store) -> None:
        assert await store.identity() == uid

    run(kube.client(), scenario)


# Kinds that a server may lack


def _admin(kube: KubeServer) -> dict[str, Any]:
    name = "adminnetworkpolicies.policy.networking.k8s.io"
    return kube.api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_kinds_that_are_not_installed(
    fresh_kube: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calico's are named with what to do; admin policies are none, and appear when installed."""
    from tortie.datastore.kubernetes import watches

    monkeypatch.setattr(watches, "LOOK_SECONDS", 0.2)
    kube, kind = fresh_kube, "KubernetesAdminNetworkPolicy"
    definition = _admin(kube)
    place = place_of(kind, CRD_V1, False)
    for name in (definition["metadata"]["name"], "tiers.crd.projectcalico.org"):
        kube.api.request("DELETE", f"{DEFINITIONS}/{name}")
    for path in (place.collection(), place_of("Tier", CRD_V1, False).collection()):
        _wait_until(lambda path=path: not _has(kube, path))  # type: ignore[misc]
    policy = {
        "apiVersion": place.group_version,
        "kind": "AdminNetworkPolicy",
        "metadata": {"name": "a"},
        "spec": {"priority": 5, "subject": {"namespaces": {}}},
    }

    async def scenario(store: Store) -> None:
        for attempt in (
            store.list("Tier"),
            store.create(Tier(spec=TierSpec(), metadata=_named("t"))),
        ):
            with pytest.raises(
                DatastoreError, match=r"tiers\.crd\.projectcalico\.org \(tortie crds"
            ):
                await attempt
        assert (await store.list(kind)).resources == ()
        since = await store.revision()
        kube.namespace("later")
        async with aclosing(store.watch([kind, "Namespace"], since)) as watch:
            while (await anext(watch)).revision <= since:
                pass  # until the watch has found that there is no such kind
            waiting = asyncio.ensure_future(first_events(watch))
            clean = {k: definition[k] for k in ("apiVersion", "kind", "spec")}
            meta = {k: definition["metadata"].get(k) for k in ("name", "annotations")}
            kube.api.request("POST", DEFINITIONS, {**clean, "metadata": meta})
            await asyncio.to_thread(_wait_until, lambda: _has(kube, place.collection()))
            kube.api.request("POST", place.collection(), policy)
            (event,) = await waiting
        assert event.key == Key(kind, "", "a")

    run(kube.client(), scenario)


def _has(kube: KubeServer, path: str) -> bool:
    try:
        return kube.api.answer("GET", path)[0] == 200
    except ValueError:  # no JSON: the server has no such path
        return False


def _named(name: str) -> ObjectMeta:
    return ObjectMeta(name=name)


def _wait_until(done: Callable[[], bool], seconds: float = 30) -> None:
    import time

    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


# Who we are


def _fails(settings: KubernetesSettings, error: type[Exception], text: str) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(error, match=text) as found:
            await store.list("NetworkSet")
        assert "\n" not in str(found.value)

    run(settings, scenario)


def test_a_right_that_is_missing_is_named(kube: KubeServer) -> None:
    text = r'User "system:serviceaccount:shop:weak" cannot list resource "networksets".*RBAC'
    _fails(kube.client_of("shop", "weak"), Forbidden, text)

    async def scenario(store: Store) -> None:
        with pytest.raises(Forbidden, match='cannot list resource "clusterinformations"'):
            async with aclosing(store.watch(["NetworkSet"], 1)) as watch:
                await anext(watch)

    run(kube.client_of("shop", "weak"), scenario)


def test_an_expired_token_is_named(kube: KubeServer) -> None:
    settings = msgspec.structs.replace(
        kube.client(), certificate=b"", key=b"", token=kube.token("shop", "weak", -5)
    )
    _fails(settings, Forbidden, "does not accept the given token: it is wrong, expired")


def test_a_certificate_of_another_authority_is_named(kube: KubeServer, tmp_path: Path) -> None:
    from servers.pki import Pki

    folder = tmp_path / "other"
    folder.mkdir()
    other = Pki(folder, "other")
    stranger = other.issue("kubernetes-admin", organizations=("system:masters",))
    settings = kube.client()
    _fails(
        msgspec.structs.replace(settings, certificate=stranger.certificate, key=stranger.key),
        Forbidden,
        "does not accept the client certificate of K8S_CERT_FILE",
    )
    _fails(
        msgspec.structs.replace(settings, ca=other.ca),
        DatastoreError,
        "certificate is not trusted .*K8S_CA_FILE",
    )


def test_contexts_of_a_kubeconfig_choose_who_we_are(kube: KubeServer, tmp_path: Path) -> None:
    import yaml

    config = yaml.safe_load(kube.kubeconfig())
    weak = yaml.safe_load(kube.kubeconfig(token=kube.token("shop", "weak")))
    config["users"].append({**weak["users"][0], "name": "weak"})
    context = {**config["contexts"][0]["context"], "user": "weak"}
    config["contexts"].append({"name": "weak", "context": context})
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))

    async def scenario(store: Store) -> None:
        assert (await store.list("NetworkSet")).resources == ()

    run(KubernetesSettings(kubeconfig=str(path)), scenario)
    run(KubernetesSettings(kubeconfig_text=path.read_text()), scenario)
    _fails(
        KubernetesSettings(kubeconfig=str(path), context="weak"),
        Forbidden,
        "shop:weak.*cannot list",
    )


def test_a_servers_name_may_be_another_than_its_address(kube: KubeServer, tmp_path: Path) -> None:
    import yaml

    config = yaml.safe_load(kube.kubeconfig())
    cluster = config["clusters"][0]["cluster"]
    cluster["tls-server-name"] = "elsewhere.example"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    _fails(KubernetesSettings(kubeconfig=str(path)), DatastoreError, "is not trusted")
    cluster["insecure-skip-tls-verify"] = True
    cluster.pop("certificate-authority", None)
    cluster.pop("certificate-authority-data", None)
    path.write_text(yaml.safe_dump(config))

    async def scenario(store: Store) -> None:
        assert await store.revision() > 0

    run(KubernetesSettings(kubeconfig=str(path)), scenario)


def _account(kube: KubeServer, folder: Path, token: str) -> None:
    (folder / "ca.crt").write_bytes(kube.pki.ca)
    new = folder / "new"
    new.write_text(token)
    new.rename(folder / "token")


def test_a_pods_own_token_is_renewed_while_we_run(kube: KubeServer, tmp_path: Path) -> None:
    environment = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(kube.port),
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "pod-of-test"},
        "roleRef": {
            "kind": "ClusterRole",
            "name": "cluster-admin",
            "apiGroup": "rbac.authorization.k8s.io",
        },
        "subjects": [{"kind": "ServiceAccount", "namespace": "shop", "name": "strong"}],
    }
    token = kube.token("shop", "strong")
    kube.api.answer("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)

    async def body() -> None:
        _account(kube, tmp_path, kube.token("shop", "strong", -5))
        settings = KubernetesSettings(qps=1000, burst=1000)
        store = await KubernetesDatastore.open(settings, tmp_path, environment)
        with pytest.raises(Forbidden, match=f"the service account token {tmp_path}/token"):
            await store.revision()
        _account(kube, tmp_path, token)
        while True:
            try:
                assert await store.revision() > 0
                break
            except Forbidden:  # until RBAC has heard of the binding
                await asyncio.sleep(0.05)
        await store.close()

    try:
        asyncio.run(body())
    finally:
        kube.api.answer(
            "DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/pod-of-test"
        )


def test_a_program_gives_a_certificate(kube: KubeServer, tmp_path: Path) -> None:
    import yaml

    pair = kube.certificate("from-program", "system:masters")
    status = {
        "clientCertificateData": pair.certificate.decode(),
        "clientKeyData": pair.key.decode(),
    }
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    (tmp_path / "answer").write_text(json.dumps(answer))
    config = yaml.safe_load(kube.kubeconfig())
    arguments = [str(tmp_path / "answer")]
    config["users"][0]["user"] = {
        "exec": {"apiVersion": version, "command": "cat", "args": arguments}
    }

    async def scenario(store: Store) -> None:
        assert await store.revision() > 0

    run(KubernetesSettings(kubeconfig_text=yaml.safe_dump(config)), scenario)


def test_pools_and_everything_else_go_through_both_groups(kube: KubeServer) -> None:
    """One object of each kind with rules of its own, as both groups' definitions have it."""
    body = {"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/16", "blockSize": 26}}
    pool: Resource = msgspec.convert(body, IPPool)

    async def scenario(store: Store) -> None:
        made = await store.create(pool)
        assert (await store.get(made.key)) == made

    for group in (CRD_V1, CRD_V3):
        run(kube.client(group), scenario)
