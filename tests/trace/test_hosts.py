"""Host endpoints on a connection's way are asked by the node that has them, and by no other."""

import pytest

from tortie.api.manifests import read_manifests
from tortie.trace.cluster import Cluster, cluster_of
from tortie.trace.completing import completed
from tortie.trace.questions import parse_port
from tortie.trace.reach import differences
from tortie.trace.tracing import ask

NODES = "---".join(
    f"""
apiVersion: projectcalico.org/v3
kind: Node
metadata: {{name: n{number}}}
spec: {{bgp: {{ipv4Address: {subnet}.{number}/24}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: p{number}, namespace: shop}}
spec: {{nodeName: n{number}, containers: [{{name: c}}]}}
status: {{podIP: 10.65.{number}.1}}
"""
    for number, subnet in ((1, "172.16.0"), (2, "172.16.0"), (3, "172.16.3"))
)
GUARDED = """---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: n1-eth0, labels: {role: guarded}}
spec: {node: n1, interfaceName: INTERFACE, expectedIPs: [172.16.0.1]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: guard}
spec:
  selector: role == 'guarded'
  applyOnForward: true
  types: [Ingress]
  ingress:
  - {action: Allow, protocol: TCP, destination: {ports: [80]}}
"""
POOL = """---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.65.0.0/16, vxlanMode: MODE}
"""


def cluster(mode: str = "Never", interface: str = "eth0") -> Cluster:
    text = NODES + GUARDED.replace("INTERFACE", interface) + POOL.replace("MODE", mode)
    found = read_manifests("hosts.yaml", text)
    assert found.errors == ()
    made = cluster_of(completed([resource for resource, _ in found.resources]))
    assert made.warnings == ()
    return made


@pytest.mark.parametrize(
    ("source", "destination", "port", "allowed"),
    [
        ("shop/p2", "shop/p1", "80/tcp", True),
        ("shop/p2", "shop/p1", "81/tcp", False),
        ("shop/p1", "shop/p2", "81/tcp", True),  # no egress policy on the way out
        ("shop/p3", "shop/p2", "81/tcp", True),  # not by this node at all
        ("192.0.2.1", "shop/p1", "81/tcp", False),
        ("192.0.2.1", "n1", "80/tcp", True),
        ("192.0.2.1", "n1", "81/tcp", False),
        ("192.0.2.1", "n1", "22/tcp", True),  # failsafe
        ("192.0.2.1", "n2", "81/tcp", True),
        ("n1", "shop/p1", "81/tcp", True),  # its own workload, by no interface of the host
        ("n2", "shop/p1", "81/tcp", False),
        ("n2", "n1", "81/tcp", False),
    ],
)
def test_the_node_with_the_host_endpoint_asks_it(
    source: str, destination: str, port: str, allowed: bool
) -> None:
    assert ask(cluster(), source, destination, parse_port(port)).allowed is allowed


@pytest.mark.parametrize(
    ("mode", "source", "allowed"),
    [
        ("Never", "shop/p3", False),
        ("Always", "shop/p3", True),
        ("Always", "shop/p2", True),
        ("CrossSubnet", "shop/p3", True),
        ("CrossSubnet", "shop/p2", False),
    ],
)
def test_what_comes_in_a_tunnel_does_not_come_by_the_interface(
    mode: str, source: str, allowed: bool
) -> None:
    assert ask(cluster(mode), source, "shop/p1", parse_port("81/tcp")).allowed is allowed


def test_a_host_endpoint_of_every_interface_sees_what_comes_in_a_tunnel() -> None:
    found = cluster("Always", '"*"')
    assert not ask(found, "shop/p3", "shop/p1", parse_port("81/tcp")).allowed
    assert ask(found, "shop/p3", "shop/p1", parse_port("80/tcp")).allowed


def test_reach_counts_host_endpoints_on_the_way() -> None:
    changes = {
        (change.source, change.destination)
        for change in differences(cluster("Always"), cluster("Never"))
    }
    assert changes == {("shop/p2", "shop/p1"), ("shop/p3", "shop/p1")}


@pytest.mark.parametrize(
    "names",
    [
        "interfaceName: eth0, expectedIPs: [172.16.0.1]",
        "interfaceName: eth0",
        "expectedIPs: [172.16.0.1]",
        "interfaceName: '*'",
    ],
)
def test_policy_of_a_nodes_interface_is_asked_however_that_is_named(names: str) -> None:
    written = "interfaceName: INTERFACE, expectedIPs: [172.16.0.1]"
    found = read_manifests("hosts.yaml", NODES + GUARDED.replace(written, names))
    assert found.errors == ()
    made = cluster_of(completed([resource for resource, _ in found.resources]))
    assert ask(made, "192.0.2.1", "n1", parse_port("80")).allowed
    assert not ask(made, "192.0.2.1", "n1", parse_port("81")).allowed
    assert not ask(made, "n2", "shop/p1", parse_port("81")).allowed


def test_one_of_another_interface_of_the_node_is_not_asked() -> None:
    elsewhere = GUARDED.replace("INTERFACE", "eth1").replace("[172.16.0.1]", "[10.1.2.3]")
    found = read_manifests("hosts.yaml", NODES + elsewhere)
    made = cluster_of(completed([resource for resource, _ in found.resources]))
    assert ask(made, "192.0.2.1", "n1", parse_port("81")).allowed
