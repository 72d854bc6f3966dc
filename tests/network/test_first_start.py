"""Settings that are stored before a node's agent starts for the first time are in force with it."""

import os
import shutil
from contextlib import closing

import pytest

from network.changing import await_carrier
from network.cluster import Cluster
from network.wire import Wire
from tortie.lab.plan import Encap, Families, shape_of
from vm.features import missing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        shutil.which("wireguard-go") is None and bool(missing(("wireguard",))),
        reason="needs wireguard-go (Debian's package), or WireGuard in the kernel",
    ),
]
ENCRYPTED = """---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {wireguardEnabled: true, wireguardEnabledV6: true}
"""


def test_a_node_that_joins_where_wireguard_is_on_takes_part_at_once() -> None:
    shape = shape_of(2, Encap.NONE, "Always", Families.DUAL)
    pods = {"a": "node-1", "near": "node-2"}
    name = f"first-{os.getpid()}"
    with (
        closing(Cluster(name, shape, ENCRYPTED, pods)) as cluster,
        Wire([cluster.namespace("node-1")]) as wire,
    ):
        for version in (4, 6):
            await_carrier(cluster, wire, "wireguard", version)
