"""A cluster of two nodes: a floating address and limits of a pod, as others see them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cni.node import until
from tortie.lab.cluster import take_down
from tortie.lab.journal import Journal, exclusive

pytestmark = pytest.mark.root
TORTIE = (sys.executable, "-m", "tortie.cli")
FLOATING = "10.70.200.1"
CLUSTER = """apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 10.70.0.0/16, vxlanMode: Always, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {floatingIPs: Enabled}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: web, image: lab, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: db
  namespace: default
  labels: {app: db}
  annotations:
    cni.projectcalico.org/floatingIPs: '["10.70.200.1"]'
    qos.projectcalico.org/ingressBandwidth: 100M
spec: {nodeName: node-2, containers: [{name: db, image: lab, ports: [{containerPort: 5432}]}]}
"""


def tortie(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*TORTIE, *words], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a lab that is up."""
    name = f"q{os.getpid()}"
    path: Path = tmp_path_factory.mktemp("qos") / "cluster.yaml"
    path.write_text(CLUSTER)
    try:
        up = tortie("lab", "up", "--name", name, "--nodes", "2", "-f", str(path))
        assert up.returncode == 0, up.stdout + up.stderr
        yield name
    finally:
        with exclusive(name, lambda: None):
            if Journal(name).path.exists():
                take_down(Journal(name))


def connects(lab: str, source: str, address: str) -> bool:
    """Whether a TCP connection to the pod's port comes about."""
    script = f"exec 3<>/dev/tcp/{address}/5432"
    done = tortie("lab", "exec", "--name", lab, source, "--", "timeout", "2", "bash", "-c", script)
    return done.returncode == 0


@pytest.mark.parametrize("source", ["default/web", "default/db", "node-1", "node-2"])
def test_a_floating_address_is_reached_from_every_side(lab: str, source: str) -> None:
    """By another node's pod, by itself, by the other node, by its own."""
    until(lambda: connects(lab, source, FLOATING), f"a connection of {source}")


def test_limits_of_a_pod_are_in_force_on_its_node(lab: str) -> None:
    told = tortie("lab", "exec", "--name", lab, "node-2", "--", "tc", "-j", "qdisc", "show")
    rates = [one["options"]["rate"] for one in json.loads(told.stdout) if one["kind"] == "tbf"]
    assert rates == [12_500_000]
