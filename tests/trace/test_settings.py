"""What FelixConfigurations say of failsafe ports and of a workload's own node counts in traces."""

import pytest

from tortie.api.manifests import read_manifests
from tortie.trace.cluster import cluster_of
from tortie.trace.completing import completed
from tortie.trace.questions import parse_port
from tortie.trace.tracing import ask

CLUSTER = """
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: n1}
spec: {bgp: {ipv4Address: 172.16.0.1/24}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.65.0.1}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: n1}
spec: {node: n1, expectedIPs: [172.16.0.1]}
"""
SETTINGS = """---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: NAME}
spec: {defaultEndpointToHostAction: Accept, failsafeInboundHostPorts: [{protocol: TCP, port: 99}]}
"""


@pytest.mark.parametrize(
    ("name", "counts"), [("default", True), ("node.n1", True), ("node.n2", False)]
)
def test_a_trace_uses_the_settings_of_the_node(name: str, counts: bool) -> None:
    found = read_manifests("x.yaml", CLUSTER + SETTINGS.replace("NAME", name))
    assert found.errors == ()
    cluster = cluster_of(completed([resource for resource, _ in found.resources]))
    assert ask(cluster, "192.0.2.1", "n1", parse_port("99")).allowed is counts
    assert ask(cluster, "192.0.2.1", "n1", parse_port("22")).allowed is not counts
    assert ask(cluster, "shop/web", "n1", parse_port("80")).allowed is counts
