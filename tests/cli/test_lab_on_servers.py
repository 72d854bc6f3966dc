"""Labs on servers of others, from apply to what packets meet: etcd and the Kubernetes API."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.etcd import EtcdServer, etcd_server
from servers.etcd_users import Admin
from servers.kube import KubeServer
from servers.pki import Pki
from tortie.lab.cluster import take_down
from tortie.lab.journal import Journal, exclusive
from tortie.linux.namespaces import names

pytestmark = pytest.mark.root
EXAMPLES = Path(__file__).parents[2] / "examples"
CLUSTER = str(EXAMPLES / "cluster.yaml")


def tortie(*words: str, expect: int = 0, **environ: str) -> str:
    """Run a command to its end; what it prints."""
    ran = subprocess.run(
        [sys.executable, "-m", "tortie.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environ},
    )
    assert ran.returncode == expect, f"{words}\n{ran.stdout}\n{ran.stderr}"
    assert "Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture
def lab() -> Iterator[str]:
    """The name of a lab that is taken down at the end, whatever is left of it."""
    name = f"s{os.getpid()}"
    yield name
    with exclusive(name, lambda: None):
        if Journal(name).path.exists():
            take_down(Journal(name))


def enforces(lab: str, example: str) -> None:
    """Apply an example, and see that packets go as its author says; take it back."""
    folder = EXAMPLES / example
    tortie("lab", "apply", "--name", lab, "-f", str(folder / "policies.yaml"))
    said = tortie("lab", "probe", "--name", lab, "--expect", str(folder / "expected.yaml"))
    assert said.endswith(" probes as expected\n")
    tortie("lab", "delete", "--name", lab, "-f", str(folder / "policies.yaml"))


def test_an_example_is_enforced_by_agents_that_follow_an_etcd(lab: str, etcd: EtcdServer) -> None:
    at = ("--datastore", f"etcd:{etcd.endpoint}")
    tortie("lab", "up", "--name", lab, "-f", CLUSTER, *at)
    assert f"datastore: etcd:{etcd.endpoint}" in tortie("lab", "status", "--name", lab)
    enforces(lab, "02-default-deny-out")
    # Others write to the same store, as people and controllers do.
    deny = str(EXAMPLES / "01-default-deny-in" / "policies.yaml")
    tortie("apply", "-f", deny, *at)
    tortie("lab", "apply", "--name", lab, "-f", deny)  # until it is in force
    expected = str(EXAMPLES / "01-default-deny-in" / "expected.yaml")
    tortie("lab", "probe", "--name", lab, "--expect", expected)
    etcd.kill()
    assert "can't be reached" in tortie("lab", "status", "--name", lab, expect=1)
    etcd.restart()
    tortie("lab", "up", "--name", lab, "-f", CLUSTER)  # waits for the agents
    tortie("lab", "probe", "--name", lab, "--expect", expected)
    other = ("--datastore", "etcd:http://127.0.0.1:1")
    assert "on another datastore" in tortie("lab", "up", "--name", lab, *other, expect=1)
    tortie("lab", "down", "--name", lab)
    assert "shop" in tortie("get", "pods", "-A", *at)  # what was applied is the store's
    assert not [name for name in names() if name.startswith(f"tortie.{lab}.")]


def test_a_lab_on_an_etcd_that_wants_tls_and_a_certificate(
    lab: str, etcd_tls: EtcdServer, pki: Pki, tmp_path: Path
) -> None:
    pair = pki.issue("root")
    config = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "CalicoAPIConfig",
        "spec": {
            "etcdEndpoints": etcd_tls.endpoint,
            "etcdCACertFile": str(pki.ca_file),
            "etcdCertFile": str(pair.certificate_file),
            "etcdKeyFile": str(pair.key_file),
        },
    }
    (tmp_path / "cfg").write_text(json.dumps(config))
    words = ("lab", "up", "--name", lab, "--nodes", "2", "-f", CLUSTER)
    tortie(*words, "-c", str(tmp_path / "cfg"))
    enforces(lab, "01-default-deny-in")


def test_a_server_that_refuses_us_stops_the_lab_before_anything_is_made(lab: str) -> None:
    with etcd_server() as server:
        Admin(server).enable()
        said = tortie(
            *("lab", "up", "--name", lab, "--datastore", f"etcd:{server.endpoint}"),
            ETCD_USERNAME="agent",
            ETCD_PASSWORD="geheim",
            expect=1,
        )
    assert "refuses the user 'agent' with this password" in said
    assert "geheim" not in said
    assert not Journal(lab).path.exists()


def test_an_example_is_enforced_by_agents_that_follow_the_kubernetes_api(
    lab: str, kube: KubeServer, tmp_path: Path
) -> None:
    (tmp_path / "kubeconfig").write_text(kube.kubeconfig())
    at = ("--datastore", f"kubernetes:{tmp_path}/kubeconfig")
    tortie("lab", "up", "--name", lab, "-f", CLUSTER, *at)
    enforces(lab, "01-default-deny-in")
    enforces(lab, "14-service-accounts")
    pod = kube.api.get("/api/v1/namespaces/shop/pods/db")
    told = tortie("get", "pods", "db", "-n", "shop", *at)
    assert pod["metadata"]["annotations"]["cni.projectcalico.org/podIP"].split("/")[0] in told
