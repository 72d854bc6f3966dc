"""get, apply and delete on the embedded datastore."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from strategies.command_line import Tortie, Write

NAMESPACE = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: shop}}}\n"
POLICY = """apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {selector: app == 'web', order: 10, ingress: [{action: Allow}]}
"""
POD = """apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{containerPort: 80}]}]}
"""


@pytest.fixture
def shop(tortie: Tortie, write: Write) -> str:
    """A datastore with the namespace."""
    assert tortie("apply", "-f", write("shop.yaml", NAMESPACE)).status == 0
    return "shop.yaml"


@pytest.mark.usefixtures("shop")
def test_applying_creates_changes_and_leaves_alone(tortie: Tortie, write: Write) -> None:
    file = write("p.yaml", POLICY)
    assert tortie("apply", "-f", file).out == "NetworkPolicy shop/web: created\n"
    assert tortie("apply", "-f", file).out == "NetworkPolicy shop/web: unchanged\n"
    write("p.yaml", POLICY.replace("order: 10", "order: 20"))
    assert tortie("apply", "-f", file).out == "NetworkPolicy shop/web: changed\n"
    assert "20" in tortie("get", "np", "-n", "shop").out


@pytest.mark.usefixtures("shop")
def test_a_dry_run_says_so_and_writes_nothing(tortie: Tortie, write: Write) -> None:
    said = tortie("apply", "--dry-run", "-f", write("p.yaml", POLICY))
    assert (said.status, said.out) == (0, "NetworkPolicy shop/web: would be created\n")
    assert tortie("get", "np", "-A").out == ""


@pytest.mark.usefixtures("shop")
def test_what_get_prints_apply_reads(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("all.yaml", POLICY + "---\n" + POD))
    for output in ("yaml", "json"):
        text = tortie("get", "np,pods,ns", "-A", "-o", output).out
        said = tortie("apply", "-f", write(f"again.{output}", text))
        assert said.out.endswith("3 resources: 3 unchanged\n"), said


@pytest.mark.usefixtures("shop")
def test_one_object_by_name_is_printed_as_itself(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("p.yaml", POLICY))
    manifest = yaml.safe_load(tortie("get", "cnp", "web", "-n", "shop", "-o", "yaml").out)
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("NetworkPolicy", "web")
    assert manifest["spec"]["selector"] == "app == 'web'"


@pytest.mark.usefixtures("shop")
def test_order_of_files_does_not_matter(tortie: Tortie, write: Write) -> None:
    other = NAMESPACE.replace("shop", "other")
    text = POLICY.replace("namespace: shop", "namespace: other") + "---\n" + other
    assert tortie("apply", "-f", write("p.yaml", text)).out.splitlines() == [
        "Namespace other: created",
        "NetworkPolicy other/web: created",
        "2 resources: 2 created",
    ]


@pytest.mark.usefixtures("shop")
def test_a_directory_and_several_files_are_read(tortie: Tortie, write: Write) -> None:
    write("d/a.yaml", POLICY)
    write("d/b.json", json.dumps(yaml.safe_load(POD)))
    write("d/README.md", "not a manifest")
    said = tortie("apply", "-f", "d", "-f", write("n.yml", NAMESPACE.replace("shop", "x")))
    assert said.out.endswith("3 resources: 3 created\n")


def test_stdin_is_read(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tortie.cli", "apply", "-f", "-"],
        input=NAMESPACE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TORTIE_DATASTORE": str(tmp_path / "s.db")},
    )
    assert ran.stdout == "Namespace shop: created\n"


@pytest.mark.usefixtures("shop")
def test_what_the_system_recorded_on_a_pod_outlives_its_manifest(
    tortie: Tortie, write: Write
) -> None:
    recorded = yaml.safe_load(POD)
    recorded["metadata"]["annotations"] = {"cni.projectcalico.org/podIP": "192.168.0.9/32"}
    recorded["spec"]["nodeName"] = "node-1"
    tortie("apply", "-f", write("recorded.json", json.dumps(recorded)))
    relabelled = POD.replace("app: web", "app: db")
    assert tortie("apply", "-f", write("p.yaml", relabelled)).out == "Pod shop/web: changed\n"
    pod = json.loads(tortie("get", "pod", "web", "-n", "shop", "-o", "json").out)
    assert pod["metadata"]["labels"] == {"app": "db"}
    assert pod["metadata"]["annotations"] == {"cni.projectcalico.org/podIP": "192.168.0.9/32"}
    assert pod["spec"]["nodeName"] == "node-1"


@pytest.mark.usefixtures("shop")
def test_endpoints_of_pods_and_profiles_of_namespaces_are_shown(
    tortie: Tortie, write: Write
) -> None:
    pod = POD.replace("spec: {", "spec: {nodeName: node-1, ").replace(
        "name: web, namespace",
        "annotations: {cni.projectcalico.org/podIP: 10.0.0.9}, name: web, namespace",
    )
    tortie("apply", "-f", write("p.yaml", pod))
    endpoints = tortie("get", "wep", "-n", "shop").out
    assert "10.0.0.9/32" in endpoints
    assert "node-1" in endpoints
    assert "kns.shop" in tortie("get", "profiles").out


@pytest.mark.usefixtures("shop")
def test_a_namespace_is_labelled_with_its_name(tortie: Tortie) -> None:
    labels = json.loads(tortie("get", "ns", "shop", "-o", "json").out)["metadata"]["labels"]
    assert labels == {"team": "shop", "kubernetes.io/metadata.name": "shop"}


@pytest.mark.usefixtures("shop")
def test_deleting_says_what_was_there_and_what_not(tortie: Tortie, write: Write) -> None:
    file = write("p.yaml", POLICY)
    tortie("apply", "-f", file)
    said = tortie("delete", "np", "web", "wbe", "-n", "shop")
    assert said.status == 1
    assert "NetworkPolicy shop/web: deleted\n" in said.out
    assert said.err == "tortie: NetworkPolicy shop/wbe: there is none\n"
    assert tortie("delete", "-f", file).status == 1
    assert tortie("delete", "--skip-not-exists", "-f", file).status == 0


@pytest.mark.usefixtures("shop")
def test_a_version_in_the_manifest_must_be_the_current_one(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("p.yaml", POLICY))
    stale = POLICY.replace("name: web,", "name: web, resourceVersion: '999',")
    said = tortie("apply", "-f", write("stale.yaml", stale))
    assert said.status == 1
    assert said.err.startswith("tortie: NetworkPolicy shop/web: ")


@pytest.mark.usefixtures("shop")
def test_machines_get_json_of_what_happened(tortie: Tortie, write: Write) -> None:
    said = tortie("apply", "-o", "json", "-f", write("p.yaml", POLICY))
    assert json.loads(said.out) == [
        {
            "kind": "NetworkPolicy",
            "namespace": "shop",
            "name": "web",
            "result": "created",
            "error": None,
        }
    ]


@pytest.mark.usefixtures("shop")
def test_watching_shows_changes_as_they_come_and_ctrl_c_ends_it(
    tortie: Tortie, write: Write
) -> None:
    as_in_a_terminal = ["env", "--default-signal=INT"]  # whatever the tests' starter ignores
    words = ["get", "np", "-A", "-o", "name", "--watch"]
    watch = subprocess.Popen(
        [*as_in_a_terminal, sys.executable, "-m", "tortie.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert watch.stdout is not None
    try:
        # Written before the watch begins, it is listed; after, it is watched: seen either way.
        tortie("apply", "-f", write("p.yaml", POLICY))
        assert watch.stdout.readline() == "networkpolicies/shop/web\n"
        tortie("delete", "np", "web", "-n", "shop")
        assert watch.stdout.readline() == "deleted   NetworkPolicy(shop/web)\n"
        watch.send_signal(2)
        assert watch.wait(30) == 130
        assert watch.stderr is not None
        assert watch.stderr.read() == ""
    finally:
        watch.kill()
        watch.wait()
