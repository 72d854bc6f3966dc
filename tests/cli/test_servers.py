"""Commands on real etcd and a real API server: by option, file and environment; what goes wrong."""

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from servers.etcd import EtcdServer
from servers.etcd_users import Admin
from servers.kube import KubeServer
from servers.pki import Pki
from strategies.command_line import Tortie, Write
from tortie.cli import configuration

POLICY = """apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: a}
spec: {order: 5}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: a.web, namespace: default}
spec: {tier: a, selector: app == 'web', ingress: [{action: Allow}]}
"""
PATIENCE = 20.0  # seconds: a command that waits longer is not waited for by people


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tortie: Tortie) -> None:  # noqa: ARG001 - it names a datastore, which is taken back here
    """No datastore is named anywhere, and nobody has a kubeconfig."""
    monkeypatch.delenv(configuration.VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(configuration, "DEFAULT_FILE", tmp_path / "calicoctl.cfg")


def refused(tortie: Tortie, *words: str) -> str:
    """The one line that a command says that can't work, in a time that a person waits."""
    start = time.monotonic()
    said = tortie("get", "tiers", *words)
    assert time.monotonic() - start < PATIENCE
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("tortie: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def lives(tortie: Tortie, write: Write, *words: str) -> None:
    """The life of two resources."""
    file = write("a.yaml", POLICY)
    assert tortie("apply", "-f", file, *words).out.endswith("2 resources: 2 created\n")
    assert tortie("get", "tiers", "-o", "name", *words).out == "tiers/a\n"
    assert "a.web" in tortie("get", "np", "-A", *words).out
    assert tortie("label", "np", "a.web", "x=z", *words).status == 0
    spec = '{"spec": {"order": 7}}'
    assert tortie("patch", "np", "a.web", "-p", spec, *words).status == 0
    shown = tortie("get", "np", "a.web", "-o", "yaml", *words).out
    assert "order: 7" in shown
    assert "x: z" in shown
    assert tortie("apply", "-f", file, *words).out.endswith("1 unchanged, 1 changed\n")
    assert tortie("apply", "-f", file, *words).out.endswith("2 resources: 2 unchanged\n")
    assert tortie("diff", "-f", file, *words).status == 0
    assert tortie("delete", "-f", file, *words).out.endswith("2 resources: 2 deleted\n")
    assert tortie("get", "tiers", *words).err == "tortie: there are no tiers\n"


def test_commands_work_on_etcd(tortie: Tortie, write: Write, etcd: EtcdServer) -> None:
    lives(tortie, write, "--datastore", f"etcd:{etcd.endpoint}")


def test_commands_work_on_etcd_with_tls_told_by_the_environment(
    tortie: Tortie, write: Write, etcd_tls: EtcdServer, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pki.issue("root")
    monkeypatch.setenv("CALICO_ETCD_ENDPOINTS", etcd_tls.endpoint)
    monkeypatch.setenv("ETCD_ENDPOINTS", "http://nowhere:1")
    monkeypatch.setenv("ETCD_CA_CERT_FILE", str(pki.ca_file))
    monkeypatch.setenv("ETCD_CERT_FILE", str(pair.certificate_file))
    monkeypatch.setenv("ETCD_KEY_FILE", str(pair.key_file))
    lives(tortie, write)


def test_commands_work_on_etcd_with_a_password_told_by_a_file(
    tortie: Tortie, write: Write, etcd: EtcdServer
) -> None:
    Admin(etcd).enable()
    text = (
        "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n"
        f"  etcdEndpoints: {etcd.endpoint}\n  etcdUsername: agent\n  etcdPassword: %s\n"
    )
    lives(tortie, write, "-c", write("cfg", text % "agent's"))
    lives(tortie, write, "--datastore", "etcd:", "-c", write("cfg", text % "agent's"))
    write("calicoctl.cfg", text % "agent's")  # where calicoctl's own would be
    lives(tortie, write)
    line = refused(tortie, "-c", write("cfg", text % "geheim"))
    assert "refuses the user 'agent' with this password" in line
    assert "geheim" not in line


def test_a_file_stands_over_the_environment_and_an_option_over_both(
    tortie: Tortie, write: Write, etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"{{etcdEndpoints: '{etcd.endpoint}'}}"
    write(
        "calicoctl.cfg",
        f"{{apiVersion: projectcalico.org/v3, kind: CalicoAPIConfig, spec: {spec}}}",
    )
    monkeypatch.setenv("ETCD_ENDPOINTS", "http://127.0.0.1:1")
    said = tortie("-l", "debug", "get", "tiers")
    assert said.err.startswith(f"debug: datastore etcd:{etcd.endpoint} (from /")
    assert "127.0.0.1:1 can't be reached" in refused(
        tortie, "--datastore", "etcd:http://127.0.0.1:1"
    )
    monkeypatch.setenv(configuration.VARIABLE, "x.db")
    assert "there is no datastore at x.db (from $TORTIE_DATASTORE)" in refused(tortie)
    assert "no tiers" in tortie("get", "tiers", "--datastore", f"etcd:{etcd.endpoint}").err


def test_an_etcd_that_is_down_hangs_or_is_another_server_is_told(
    tortie: Tortie,
    etcd: EtcdServer,
    etcd_tls: EtcdServer,
    pki: Pki,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = ("--datastore", f"etcd:{etcd.endpoint}")
    with etcd.silent():
        assert f"etcd at {etcd.endpoint} does not answer" in refused(tortie, *at)
    etcd.kill()
    assert f"etcd at {etcd.endpoint} can't be reached: Connection refused" in refused(tortie, *at)
    secure = ("--datastore", f"etcd:{etcd_tls.endpoint}")
    assert "certificate" in refused(tortie, *secure)  # of an authority that nobody named
    monkeypatch.setenv("ETCD_CA_CERT_FILE", str(pki.ca_file))
    assert "set ETCD_CERT_FILE and ETCD_KEY_FILE" in refused(tortie, *secure)
    (tmp_path / "other").mkdir()
    for problem, pair in (
        ("check that the CA that etcd trusts has signed it", Pki(tmp_path / "other").issue("x")),
        ("it expired on", pki.issue("root", lifetime=-timedelta(hours=1))),
    ):
        monkeypatch.setenv("ETCD_CERT_FILE", str(pair.certificate_file))
        monkeypatch.setenv("ETCD_KEY_FILE", str(pair.key_file))
        assert problem in refused(tortie, *secure)


def test_commands_work_on_the_kubernetes_api(
    tortie: Tortie, write: Write, kube: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.namespace("default")
    file = write("kubeconfig", kube.kubeconfig())
    lives(tortie, write, "--datastore", f"kubernetes:{file}")
    monkeypatch.setenv("KUBECONFIG", file)
    monkeypatch.setenv("DATASTORE_TYPE", "kubernetes")
    monkeypatch.setenv("CALICO_API_GROUP", "projectcalico.org/v3")
    lives(tortie, write)


def test_each_endpoint_of_a_pod_is_shown_once(
    tortie: Tortie, write: Write, kube: KubeServer
) -> None:
    kube.namespace("default")
    where = {"name": "web", "namespace": "default"}
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
    kube.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": where, "spec": spec})
    told = {"net1": {"containerID": "c1", "addresses": ["10.79.0.2/32"]}, "net2": {}}
    condition = {
        "type": "cni.projectcalico.org/FurtherInterfaces",
        "status": "True",
        "message": json.dumps(told),
    }
    status = {"podIPs": [{"ip": "10.0.0.2"}], "podIP": "10.0.0.2", "conditions": [condition]}
    path, merge = "/api/v1/namespaces/default/pods/web/status", "application/merge-patch+json"
    kube.api.request("PATCH", path, {"status": status}, content=merge)
    there = ("--datastore", f"kubernetes:{write('kubeconfig', kube.kubeconfig())}")
    found = tortie("get", "workloadendpoints", "-n", "default", "-o", "custom-columns=NAME", *there)
    assert found.out.split() == ["NAME", "n1-k8s-web-eth0", "n1-k8s-web-net1"]
    one = tortie("get", "wep", "n1-k8s-web-net1", "-n", "default", "-o", "yaml", *there)
    assert one.out.count("ipNetworks") == one.out.count("10.79.0.2/32") == 1
    profiles = tortie("get", "profiles", *there).out
    assert profiles.count("kns.default") == 1


def test_commands_find_kubectls_own_file_and_take_its_contexts(
    tortie: Tortie, write: Write, kube: KubeServer
) -> None:
    write(".kube/config", kube.kubeconfig())
    assert "no tiers" in tortie("get", "tiers", "--datastore", "kubernetes:").err
    assert "no tiers" in tortie("get", "tiers", "--context", "tests").err
    line = refused(tortie, "--context", "prod")
    assert "there is no context 'prod' in contexts; there are: tests" in line


def test_an_api_server_that_is_not_there_or_refuses_us_is_told(
    tortie: Tortie, write: Write, kube: KubeServer, tmp_path: Path
) -> None:
    kube.namespace("default")

    def line(text: str) -> str:
        return refused(tortie, "--datastore", f"kubernetes:{write('kubeconfig', text)}")

    expired = line(kube.kubeconfig(token=kube.token("default", "old", -60)))
    assert "does not accept user 'tests' of kubeconfig kubeconfig (token)" in expired
    assert "expired" in expired
    powerless = line(kube.kubeconfig(token=kube.token("default", "powerless")))
    assert "no right: " in powerless
    assert "system:serviceaccount:default:powerless" in powerless
    (tmp_path / "other").mkdir()
    stranger = Pki(tmp_path / "other")
    ours = str(kube.pki.ca_file)
    untrusted = line(kube.kubeconfig().replace(ours, str(stranger.ca_file)))
    assert "its certificate is not trusted" in untrusted
    nowhere = line(kube.kubeconfig().replace(str(kube.port), "1"))
    assert "can't be reached: Connection refused" in nowhere
    with kube.paused():
        assert "can't be reached: no answer in time" in line(kube.kubeconfig())


@pytest.mark.parametrize(
    "location", ["memory:", "etcd:http://127.0.0.1:1", "kubernetes:kubeconfig"]
)
def test_a_command_loads_no_more_than_its_datastore_needs(
    location: str, write: Write, kube: KubeServer
) -> None:
    write("kubeconfig", kube.kubeconfig())
    script = (
        "import sys; from tortie.cli.main import main; main(sys.argv[1:]);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, "get", "tiers", "--datastore", location],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": os.environ["PATH"]},
    )
    loaded = set(ran.stderr.splitlines()[-1].split())
    wanted = {"etcd": {"grpc"}, "kubernetes": {"httpx"}}.get(location.partition(":")[0], set())
    assert loaded & {"grpc", "httpx", "cryptography"} == wanted


def test_the_fan_out_server_reads_typhas_names_and_names_the_wrong_one() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tortie.cli", "fanout"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "TYPHA_DATASTORETYPE": "etcdv3", "ETCD_ENDPOINTS": "x"},
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        "tortie fanout: $ETCD_ENDPOINTS: 'x' is no endpoint: write http://HOST:PORT or"
        " https://HOST:PORT"
    )
