"""A lab with BGP: pods on two subnets and hosts outside, and nobody but BGP to tell of routes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bgp.network import BIRD, until
from tortie.lab.cluster import take_down
from tortie.lab.journal import Journal, exclusive

pytestmark = pytest.mark.root

_PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec: {nodeName: node-1, containers: [{name: web, image: lab, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: default}
spec: {nodeName: node-2, containers: [{name: db, image: lab, ports: [{containerPort: 80}]}]}
"""
_FLOATING = "198.51.100.7"  # of no pool
_FLOATS = f"""
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {{name: default}}
spec: {{floatingIPs: Enabled}}
---
apiVersion: v1
kind: Pod
metadata:
  name: known
  namespace: default
  annotations: {{cni.projectcalico.org/floatingIPs: '["{_FLOATING}"]'}}
spec: {{nodeName: node-2, containers: [{{name: c, image: lab, ports: [{{containerPort: 80}}]}}]}}
"""
_EVERYBODY = """
otherwise: allowed
tcp/80: |
  from     web  db
  web      .    +
  db       +    .
  outside  +    +
"""


def tortie(*words: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tortie.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def lab() -> Iterator[str]:
    """The name of a lab that is taken down at the end, whatever is left of it."""
    if BIRD is None:
        pytest.skip("BIRD 2 is not installed (Debian: bird2)")
    name = f"tbgp{os.getpid()}"
    yield name
    with exclusive(name, lambda: None):
        if Journal(name).path.exists():
            take_down(Journal(name))


def test_pods_and_hosts_outside_reach_each_other_by_bgp_alone(lab: str, tmp_path: Path) -> None:
    (tmp_path / "pods.yaml").write_text(_PODS)
    (tmp_path / "truth.yaml").write_text(_EVERYBODY)
    up = ("lab", "up", "--name", lab, "--nodes", "2", "--encap", "bgp")
    tortie(*up, "-f", str(tmp_path / "pods.yaml"))
    tortie("lab", "probe", "--name", lab, "--expect", str(tmp_path / "truth.yaml"))
    for place in ("router", "node-1", "node-2"):
        words = ("ip", "-j", "route", "show", "proto", "bird")
        routes = json.loads(tortie("lab", "exec", place, "--name", lab, "--", *words))
        assert len(routes) == (2 if place == "router" else 1)
        assert all("gateway" in route for route in routes)


def test_a_floating_address_of_no_pool_is_told_to_a_router_and_reached_from_outside(
    lab: str, tmp_path: Path
) -> None:
    """The router is a BIRD of its own; the way goes when the pod goes."""
    (tmp_path / "pods.yaml").write_text(_FLOATS)
    up = ("lab", "up", "--name", lab, "--nodes", "2", "--encap", "bgp")
    tortie(*up, "-f", str(tmp_path / "pods.yaml"))
    until(lambda: _FLOATING in known_to_the_router(lab), seconds=30)
    script = f"exec 3<>/dev/tcp/{_FLOATING}/80"
    tortie("lab", "exec", "--name", lab, "outside", "--", "timeout", "5", "bash", "-c", script)
    pod = tmp_path / "pod.yaml"
    pod.write_text(_FLOATS.partition("---")[2])
    tortie("lab", "delete", "--name", lab, "-f", str(pod))
    until(lambda: _FLOATING not in known_to_the_router(lab), seconds=30)


def known_to_the_router(lab: str) -> set[str]:
    """Where BIRD there has ways to."""
    words = ("ip", "-j", "route", "show", "proto", "bird")
    found = json.loads(tortie("lab", "exec", "router", "--name", lab, "--", *words))
    return {str(route["dst"]) for route in found}
