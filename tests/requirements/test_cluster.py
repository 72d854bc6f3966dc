"""What real servers are asked, and what they say."""

import asyncio
import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from servers.etcd import EtcdServer
from servers.kube import KubeServer
from tortie.api import IPPool, IPPoolSpec, ObjectMeta
from tortie.cli.commands.node_check import rights_of
from tortie.datastore import open_datastore
from tortie.datastore.settings import (
    CRD_V1,
    EtcdSettings,
    KubernetesSettings,
    MemorySettings,
)
from tortie.install.rights import NODE
from tortie.install.rights.roles import cluster_role
from tortie.net import parse_network
from tortie.requirements.cluster.asking import ask_cluster
from tortie.requirements.cluster.facts import Cluster, KubeProxy, Pool

SYSTEM = "kube-system"
GROUP = CRD_V1.partition("/")[0]


def ask(settings: Any, kubernetes: KubernetesSettings | None = None) -> Cluster:
    return asyncio.run(ask_cluster(settings, kubernetes, rights_of(GROUP)))


def config_map(name: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": SYSTEM}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def workload(kind: str, namespace: str, name: str, image: str, *words: str) -> dict[str, Any]:
    labels = {"app": name}
    containers = [{"name": "c", "image": image, "command": list(words)}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


SUBNETS = "networking:\n  podSubnet: 10.0.0.0/16\n  serviceSubnet: 10.96.0.0/12\n"
PROXY = 'iptables:\n  masqueradeAll: true\nmode: "ipvs"\n'


def pool(name: str, cidr: str, **spec: Any) -> IPPool:
    return IPPool(metadata=ObjectMeta(name=name), spec=IPPoolSpec(cidr=cidr, **spec))


async def store(settings: Any, *pools: IPPool) -> None:
    opened = await open_datastore(settings)
    try:
        for one in pools:
            await opened.create(one)
    finally:
        await opened.close()


@pytest.fixture
def system(kube: KubeServer) -> Iterator[KubeServer]:
    """With what kubeadm and Istio leave in a cluster; the next test finds none of it."""
    kube.namespace(SYSTEM)
    kube.namespace("istio-system")
    made = [
        config_map("kube-proxy", **{"config.conf": PROXY}),
        config_map("kubeadm-config", ClusterConfiguration=SUBNETS),
        workload("Deployment", "istio-system", "istiod", "docker.io/istio/pilot:1.22.3"),
    ]
    kube.api.apply(made)
    yield kube
    for one in made:
        kube.api.delete(one)


def test_a_cluster_is_read_as_it_is(system: KubeServer) -> None:
    kube = system
    asyncio.run(store(kube.client(), pool("a", "10.7.0.0/16", vxlan_mode="Always")))
    found = ask(kube.client(), kube.client())
    assert found.pools == (Pool("a", "10.7.0.0/16", "", "Always"),)
    assert found.clock == 0
    facts = found.kubernetes
    assert facts is not None
    assert facts.problem == ""
    assert facts.version.startswith("v")
    assert facts.proxy == KubeProxy("ipvs", True, "ConfigMap kube-proxy")
    assert parse_network("10.96.0.0/12") in facts.service_ranges
    assert facts.istio == "1.22.3"
    assert facts.denied == ()  # an administrator


def test_an_empty_cluster_tells_what_it_can(kube: KubeServer) -> None:
    found = ask(kube.client(), kube.client())
    facts = found.kubernetes
    assert facts is not None
    assert (facts.proxy, facts.istio, facts.problem) == (KubeProxy(), "", "")
    assert found.pools == ()


def test_a_nodes_role_is_enough_and_less_is_told(kube: KubeServer) -> None:
    role = cluster_role(NODE, GROUP)
    role["metadata"]["name"] = "node-check"
    kube.account("default", "node")
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "node-check"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "node-check",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "node", "namespace": "default"}],
    }
    kube.api.apply([role, binding])
    token = kube.token("default", "node")
    account = replace(kube.client(), certificate=b"", key=b"", token=token)
    assert wait_for_rights(account, ()) == ()
    role["rules"] = [one for one in role["rules"] if "patch" not in one["verbs"]]
    kube.api.delete(role)
    kube.api.apply([role])
    assert "patch nodes/status" in wait_for_rights(account, None)


def wait_for_rights(account: KubernetesSettings, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """The server takes a moment to know roles: ask until it says so (None: anything is denied)."""
    deadline = time.monotonic() + 60
    while True:
        facts = ask(account, account).kubernetes
        assert facts is not None
        is_known = bool(facts.denied) if wanted is None else facts.denied == wanted
        if is_known or time.monotonic() > deadline:
            return facts.denied


def test_an_account_without_rights_is_no_failure(kube: KubeServer) -> None:
    kube.account("default", "nobody")
    token = kube.token("default", "nobody")
    account = replace(kube.client(), certificate=b"", key=b"", token=token)
    facts = ask(account, account).kubernetes
    assert facts is not None
    assert facts.version.startswith("v")
    assert facts.proxy == KubeProxy()
    assert "list ippools.crd.projectcalico.org" in facts.denied


def test_a_server_that_is_not_there_is_told() -> None:
    nowhere = KubernetesSettings(api_endpoint="https://127.0.0.1:1", token="t")
    found = ask(nowhere, nowhere)
    assert found.kubernetes is not None
    assert "can't be reached" in found.kubernetes.problem
    assert found.problem != ""


def test_etcd_is_asked_for_its_version_and_pools(etcd: EtcdServer) -> None:
    asyncio.run(store(etcd.client, pool("b", "10.8.0.0/16", ipip_mode="CrossSubnet")))
    found = ask(etcd.client)
    assert found.etcd is not None
    assert found.etcd.version.startswith("3.")
    assert (found.etcd.encrypted, found.etcd.authenticated) == (False, False)
    assert found.pools == (Pool("b", "10.8.0.0/16", "CrossSubnet", ""),)
    assert found.clock == 0


def test_etcd_with_certificates(etcd_tls: EtcdServer) -> None:
    found = ask(etcd_tls.client).etcd
    assert found is not None
    assert (found.version[:2], found.encrypted, found.authenticated) == ("3.", True, True)
    without = ask(replace(etcd_tls.client, certificate=b"", key=b"")).etcd
    assert without is not None
    assert without.problem != ""


def test_an_etcd_that_is_not_there_is_told() -> None:
    found = ask(EtcdSettings(endpoints=("http://127.0.0.1:1",))).etcd
    assert found is not None
    assert "refused" in found.problem


def test_a_member_that_does_not_answer_is_named(etcd: EtcdServer) -> None:
    found = ask(EtcdSettings(endpoints=(etcd.endpoint, "http://127.0.0.1:1"))).etcd
    assert found is not None
    assert (found.problem, found.silent) == ("", ("http://127.0.0.1:1",))


class Late(http.server.BaseHTTPRequestHandler):
    """A server whose clock is an hour behind: that can't be made of a real one."""

    def do_GET(self) -> None:
        body = json.dumps({"etcdserver": "3.5.9"}).encode()
        self.send_response_only(200)
        self.send_header("Date", formatdate(1_000_000_000, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture
def late() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_clock_that_goes_wrong_is_found(late: str) -> None:
    found = ask(EtcdSettings(endpoints=(late,)))
    assert found.etcd is not None
    assert found.etcd.version == "3.5.9"
    assert found.clock is not None
    assert found.clock < -3600


def test_without_a_datastore_there_is_nothing_to_ask() -> None:
    found = ask(MemorySettings())
    assert (found.kubernetes, found.etcd, found.clock, found.pools) == (None, None, None, ())


@pytest.mark.root
def test_the_command_asks_the_cluster(system: KubeServer, tmp_path: Path) -> None:
    kube = system
    asyncio.run(store(kube.client(), pool("a", "10.7.0.0/16", vxlan_mode="Always")))
    (tmp_path / "kubeconfig").write_text(kube.kubeconfig())
    place = f"kubernetes:{tmp_path / 'kubeconfig'}"
    command = [sys.executable, "-m", "tortie.cli", "node", "check", "--datastore", place]
    done = subprocess.run(
        [*command, "-o", "json"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["modes"] == {
        "for": "kubernetes",
        "dataplane": "nftables",
        "encap": ["vxlan"],
        "assumed": False,
    }
    rows = {(one["row"], one["what"]): one for one in told["rows"]}
    assert rows["B5", "--masquerade-all"]["verdict"] == "missing"
    assert "ipvs mode" in rows["B4", "kube-proxy"]["found"]
    assert rows["L4", "IPVS"]["verdict"] in ("ok", "missing")  # needed now
    assert rows["K2", "Kubernetes API"]["verdict"] == "ok"
    assert rows["S4", "clock"]["verdict"] == "ok"
    assert rows["K1", "etcd"]["verdict"] == "unneeded"
