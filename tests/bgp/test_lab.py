"""A lab with BGP: pods on two subnets and hosts outside, and nobody but BGP to tell of routes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bgp.network import BIRD
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
