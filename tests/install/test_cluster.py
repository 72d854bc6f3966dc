"""Installing into a real API server and out of it again. Pods' status alone is simulated."""

import asyncio
import subprocess
from pathlib import Path
from shutil import which

import pytest

from install.pods_simulated import pods_come_up, settle, status_of
from servers.kube import kube_server
from tortie.api.crds import Release
from tortie.cli.main import main
from tortie.install.cluster.applying import NotInstalled, install, look
from tortie.install.cluster.others import beside, release_of
from tortie.install.cluster.server import opened
from tortie.install.cluster.standing import standing
from tortie.install.manifests.bundle import bundle
from tortie.install.manifests.choices import Choices, Networking
from tortie.lab.progress import Silent

MANIFESTS = Path(__file__).parents[2] / "manifests"
FOREIGN = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "somebodys",
        "namespace": "kube-system",
        "labels": {"app.kubernetes.io/part-of": "tortie"},
    },
}
RELEASE = ("--kubernetes", "1.30")
LEASE = "/registry/leases/kube-system/somebodys"
WAIT = 60.0


@pytest.fixture(scope="module")
def server(needs_kube):  # noqa: ARG001 - asked for to skip
    with kube_server() as found:
        yield found


@pytest.fixture
def cluster(server, tmp_path, monkeypatch):
    """The words that lead a command to a server which has nothing of ours."""
    server.wipe()
    config = tmp_path / "kubeconfig"
    config.write_text(server.kubeconfig())
    monkeypatch.delenv("KUBECONFIG", raising=False)
    words = ["--kubeconfig", str(config)]
    yield words
    main(["uninstall", "--yes", "--delete-data", *words])
    vanish(server)


def definitions(server):
    found = server.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    return {each["metadata"]["name"] for each in found["items"]}


def vanish(server):
    """Until definitions that are being deleted are gone."""
    import time

    deadline = time.monotonic() + WAIT
    while definitions(server):
        assert time.monotonic() < deadline, definitions(server)
        time.sleep(0.05)


def keys(server):
    """What is stored, but for what the API server writes for itself."""
    own = (
        "/registry/masterleases",
        "/registry/leases/kube-system/apiserver",
        "/registry/events",
        "/registry/ranges",
    )
    own += ("/registry/apiregistration.k8s.io", "/registry/services/endpoints/default")
    own += ("/registry/services/specs/default/kubernetes", "/registry/endpointslices/default")
    found = server.registry.keys()
    return {each for each in found if not each.startswith(own)}


def test_install_wait_and_remove_leave_what_others_have(server, cluster, capsys):
    server.api.create(FOREIGN)
    before = keys(server)
    with pods_come_up(server.api):
        assert main(["install", "apply", *RELEASE, "--typha", "2", *cluster]) == 0
    said = capsys.readouterr().out
    assert "DaemonSet/calico-node: 3 of 3 nodes ready" in said
    assert "Deployment/calico-typha: 2 of 2 pods ready" in said
    for each in bundle(Choices(typha=2), Release(1, 30)):
        server.api.try_apply(each)
    pool = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": "a", "finalizers": ["projectcalico.org/ippool-finalizer"]},
        "spec": {"cidr": "10.0.0.0/16"},
    }
    server.api.create(pool)
    for name, labels in (
        ("calico-agent-n", {"projectcalico.org/report": "agent"}),
        ("calico-kube-controllers", {}),
        ("somebodys", {}),
    ):
        metadata = {"name": name, "namespace": "kube-system", "labels": labels}
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        server.api.request("POST", path, lease)
    server.api.create(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": "n",
                "annotations": {"projectcalico.org/IPv4Address": "10.0.0.1/24", "b": "c"},
            },
        }
    )

    with pytest.raises(SystemExit):
        raise SystemExit(main(["uninstall", *cluster]))
    assert "say --yes" in capsys.readouterr().err
    assert server.api.get("/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node")

    assert main(["uninstall", "--yes", *cluster]) == 0
    kept = {each for each in keys(server) - before if "projectcalico" not in each}
    assert kept == {"/registry/minions/n", LEASE}
    assert server.api.get("/apis/crd.projectcalico.org/v1/ippools/a")

    assert main(["uninstall", "--yes", "--delete-data", *cluster]) == 0
    vanish(server)
    assert keys(server) - before == {"/registry/minions/n", LEASE}
    assert before <= keys(server)
    node = server.api.get("/api/v1/nodes/n")
    assert node["metadata"]["annotations"] == {"b": "c"}
    capsys.readouterr()
    assert main(["uninstall", *cluster]) == 0
    assert "nothing of ours" in capsys.readouterr().out


def test_applied_again_nothing_is_written_and_an_upgrade_changes_what_differs(
    server, cluster, capsys
):
    def versions():
        return {
            path: server.api.get(path)["metadata"]["generation"]
            for path in (
                "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node",
                "/apis/apps/v1/namespaces/kube-system/deployments/calico-kube-controllers",
            )
        }

    with pods_come_up(server.api):
        assert main(["install", "apply", *RELEASE, "--typha", "1", *cluster]) == 0
        first = versions()
        secret = server.api.get("/api/v1/namespaces/kube-system/secrets/calico-node-certs")
        assert main(["install", "apply", *RELEASE, "--typha", "1", *cluster]) == 0
        assert versions() == first
        assert (
            main(["install", "apply", *RELEASE, "--typha", "1", "--image", "tortie:2", *cluster])
            == 0
        )
    assert all(after == first[path] + 1 for path, after in versions().items())
    again = server.api.get("/api/v1/namespaces/kube-system/secrets/calico-node-certs")
    assert again["data"] == secret["data"]
    capsys.readouterr()


def test_what_does_not_come_up_in_time_is_named(server, cluster, capsys):
    assert main(["install", "apply", *RELEASE, "--timeout", "0", *cluster]) == 1
    said = capsys.readouterr().err
    assert "DaemonSet/calico-node: not looked at yet" in said
    assert "goes on waiting" in said
    settle(server.api, 3, 2)
    assert main(["install", "apply", *RELEASE, "--timeout", "0", *cluster]) == 1
    assert "DaemonSet/calico-node: 2 of 3 nodes ready" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(server, cluster, capsys):
    before = keys(server)
    etcd = ["--datastore", "etcd", "--etcd-endpoints", "http://10.0.0.1:2379"]
    assert main(["install", "apply", *RELEASE, "--dry-run", *etcd, *cluster]) == 0
    assert keys(server) == before
    assert "would take" in capsys.readouterr().out


def test_another_calico_is_not_taken_over_and_other_networks_are_named(server, cluster, capsys):
    pod = {"containers": [{"name": "c", "image": "i"}]}
    labels = {"k8s-app": "other"}
    for name in ("cilium", "calico-node"):
        assert main(["install", "apply", *RELEASE, "--dry-run", "--policy-only", *cluster]) == 0
        spec = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        metadata = {"name": name, "namespace": "kube-system"}
        server.api.create(
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}
        )
    assert "Cilium runs in this cluster" in capsys.readouterr().err
    assert main(["install", "apply", *RELEASE, *cluster]) == 1
    assert "another installation of Calico" in capsys.readouterr().err
    for name in ("cilium", "calico-node"):
        server.api.request("DELETE", f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}")


@pytest.mark.skipif(which("kubectl") is None, reason="no kubectl here")
@pytest.mark.parametrize("name", ["calico.yaml", "calico-etcd.yaml"])
def test_kubectl_takes_a_file_of_ours_as_it_is(server, cluster, name):
    command = ["kubectl", "apply", "--server-side", "--validate=strict", *cluster]
    for _ in range(2):
        done = subprocess.run(
            [*command, "-f", str(MANIFESTS / name)], capture_output=True, timeout=WAIT, check=False
        )
        assert done.returncode == 0, done.stderr
    assert server.api.get("/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node")


@pytest.mark.parametrize(
    ("version", "said"),
    [("v1.20.15", r"Kubernetes v1\.20\.15: 1\.21 or later is needed"), (None, "with --kubernetes")],
)
def test_a_cluster_that_is_too_old_is_refused_with_the_reason(server, monkeypatch, version, said):
    """The server of the tests does not say which release it is; None leaves it at that."""

    async def run():
        async with opened(server.client()) as found:

            async def version_of():
                return version

            if version:
                monkeypatch.setattr(found, "version", version_of)
            await look(found, Choices())

    with pytest.raises(NotInstalled, match=said):
        asyncio.run(run())


@pytest.mark.parametrize("version", ["v1.21.0", "v1.30.4-gke.100", "1.31+", "v1.30.1+k3s1"])
def test_releases_from_1_21_on_are_taken(version):
    assert release_of(version) >= Release(1, 21)


def test_somebody_without_rights_is_told_which_he_lacks(server, tmp_path, capsys):
    config = tmp_path / "stranger"
    config.write_text(server.kubeconfig(token=server.token("kube-system", "stranger")))
    assert main(["install", "apply", *RELEASE, "--kubeconfig", str(config)]) == 1
    said = capsys.readouterr().err
    assert "cannot list" in said
    assert "daemonsets" in said


@pytest.mark.parametrize(
    ("status", "done", "said"),
    [
        ({}, False, "not looked at yet"),
        (status_of("daemonsets", 1, 3, 3), False, "not looked at yet"),
        (status_of("daemonsets", 2, 3, 2), False, "2 of 3 nodes ready"),
        (
            status_of("daemonsets", 2, 3, 3) | {"updatedNumberScheduled": 1},
            False,
            "3 of 3 nodes ready, 2 still to be replaced",
        ),
        (status_of("daemonsets", 2, 3, 3), True, "3 of 3 nodes ready"),
        (status_of("daemonsets", 2, 0, 0), True, "0 of 0 nodes ready"),
    ],
)
def test_a_daemon_set_is_done_once_every_node_has_the_new_pod(status, done, said):
    found = {"kind": "DaemonSet", "metadata": {"generation": 2}, "status": status}
    assert standing(found) == (done, said)


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}, True),
        ({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3}, False),
        ({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 2}, False),
        (
            {
                "observedGeneration": 1,
                "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "no"}],
            },
            False,
        ),
    ],
)
def test_a_deployment_is_done_once_the_old_pods_are_gone(status, done):
    found = {"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 2}}
    assert standing({**found, "status": status}).done is done


def test_networks_that_go_with_a_choice_are_no_news():
    def running(name):
        return [{"metadata": {"name": name, "namespace": "kube-flannel", "labels": {}}}]

    flannel = Choices(networking=Networking.FLANNEL)
    assert beside(running("kube-flannel-ds"), flannel) == []
    assert len(beside(running("kube-flannel-ds"), Choices())) == 1
    aws = Choices(networking=Networking.POLICY_ONLY, cloud="aws")
    assert beside(running("aws-node"), aws) == []
    assert beside(running("kube-proxy"), Choices()) == []


def test_kinds_come_first_and_what_runs_comes_last():
    """So that no agent asks for what the server does not know yet."""

    class Noting:
        def __init__(self):
            self.applied = []

        async def apply(self, made, *, try_only=False):
            assert not try_only
            self.applied.append(made["kind"])

        async def get(self, made):
            if made["kind"] == "CustomResourceDefinition":
                assert set(self.applied) == {"CustomResourceDefinition"}
            return {**made, "status": GOOD}

    async def run():
        server = Noting()
        await install(server, bundle(Choices(typha=1)), Silent(), WAIT)
        return server.applied

    applied = asyncio.run(run())
    first = max(n for n, kind in enumerate(applied) if kind == "CustomResourceDefinition")
    runs = min(n for n, kind in enumerate(applied) if kind in ("DaemonSet", "Deployment"))
    needed = max(n for n, kind in enumerate(applied) if kind in ("ConfigMap", "ClusterRole"))
    assert first < needed < runs


GOOD = {
    "conditions": [{"type": "Established", "status": "True"}],
    **status_of("daemonsets", 1, 1, 1),
    **status_of("deployments", 1, 1, 1),
}
