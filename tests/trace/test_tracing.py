"""Questions by name are answered as the resources themselves say."""

import pytest
from hypothesis import given, settings

from strategies import brute_force, clusters
from tortie.api.manifests import read_manifests
from tortie.net import format_address
from tortie.net.protocols import ICMP, ICMPV6, TCP, UDP
from tortie.trace.cluster import Cluster, cluster_of
from tortie.trace.completing import completed
from tortie.trace.ends import UnknownEnd, end_named, end_or_service
from tortie.trace.questions import NoQuestion, Port, packets, parse_port
from tortie.trace.tracing import as_data, as_text, ask

SHOP = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: red}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: other, labels: {app: web}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node-1}
spec: {bgp: {ipv4Address: 172.16.0.1/24}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 5432}]
"""


@pytest.fixture(scope="module")
def shop() -> Cluster:
    found = read_manifests("shop.yaml", SHOP)
    assert found.errors == ()
    cluster = cluster_of(completed([resource for resource, _ in found.resources]))
    assert cluster.warnings == ()
    return cluster


@pytest.mark.parametrize(
    ("source", "destination", "port", "allowed"),
    [
        ("shop/web", "shop/db", "5432/tcp", True),
        ("shop/web", "shop/db", "5433/tcp", False),
        ("other/web", "shop/db", "5432/tcp", False),
        ("192.0.2.1", "shop/db", "5432/tcp", False),
        ("node-1", "shop/db", "5432/tcp", False),
        ("172.16.0.1", "shop/web", "80/tcp", True),
        ("shop/db", "192.0.2.1", "icmp", True),
        ("other/web", "web.shop.svc", "80", True),
        ("other/web", "web.shop.svc.cluster.local", "80", True),
        ("other/web", "svc/shop/web", "80/tcp", True),
        ("other/web", "shop/front", "443/tcp", True),
    ],
)
def test_a_question_by_name_gets_its_answer(
    shop: Cluster, source: str, destination: str, port: str, allowed: bool
) -> None:
    assert ask(shop, source, destination, parse_port(port)).allowed is allowed


def test_a_service_leads_to_the_port_of_its_pods(shop: Cluster) -> None:
    source, service = end_named(shop, "other/web"), end_or_service(shop, "service/shop/web")
    found = [packet for packet, _ in packets(shop, source, service, parse_port("80/tcp"))]
    assert {packet.destination_port for packet in found} == {8080}
    assert {packet.version for packet in found} == {4, 6}
    assert {packet.destination_endpoint.name for packet in found} == {"unscheduled-k8s-web-eth0"}


@pytest.mark.parametrize(
    ("end", "hint"),
    [
        ("shop/wbe", "did you mean shop/web"),
        ("web/shop", "such as|did you mean"),
        ("web", "shop/web"),
        ("svc/shop/wb", "did you mean shop/web"),
        ("service/shop/nobody", "leads nowhere"),
        ("node-2", "did you mean node-1"),
        ("10.0.0.256", "no workload"),
        ("", "no workload"),
    ],
)
def test_a_name_of_nobody_is_told_with_what_is_like_it(shop: Cluster, end: str, hint: str) -> None:
    with pytest.raises(UnknownEnd, match=hint):
        end_or_service(shop, end)


SLICED = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.0.0.1], conditions: FIRST}
- {addresses: [10.0.0.2], conditions: {ready: false}}
- {addresses: [10.0.0.3], conditions: {ready: false, serving: true, terminating: true}}
ports: [{port: 80}]
"""


@pytest.mark.parametrize(
    ("first", "used"),
    [
        ("{}", ["10.0.0.1"]),
        ("{ready: true}", ["10.0.0.1"]),
        ("{ready: false, serving: true}", ["10.0.0.3"]),
    ],
)
def test_a_service_leads_where_new_connections_go(first: str, used: list[str]) -> None:
    found = read_manifests("x.yaml", SLICED.replace("FIRST", first))
    cluster = cluster_of([resource for resource, _ in found.resources])
    for name in ("svc/shop/db", "10.96.0.1"):
        backends = end_or_service(cluster, name).backends
        assert [format_address(each.version, each.address) for each in backends] == used


def test_the_outside_is_an_end_like_others(shop: Cluster) -> None:
    assert not ask(shop, "outside", "shop/db", parse_port("5432")).allowed
    assert ask(shop, "shop/web", "outside", parse_port("443")).allowed


def test_nothing_comes_from_a_service(shop: Cluster) -> None:
    with pytest.raises(UnknownEnd, match="never come from"):
        end_named(shop, "svc/shop/web")


def test_what_cannot_be_asked_is_told(shop: Cluster) -> None:
    with pytest.raises(NoQuestion, match="no address family in common"):
        ask(shop, "192.0.2.1", "2001:db8::1", parse_port("80/tcp"))
    with pytest.raises(NoQuestion, match="has no port 81/tcp"):
        ask(shop, "shop/db", "svc/shop/web", parse_port("81/tcp"))


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("80/tcp", Port(TCP, 80)),
        ("tcp/80", Port(TCP, 80)),
        ("80", Port(TCP, 80)),
        ("53/UDP", Port(UDP, 53)),
        ("icmp", Port(ICMP, icmp_type=8, icmp_code=0)),
        ("icmp/3/1", Port(ICMP, icmp_type=3, icmp_code=1)),
        ("icmp/3", Port(ICMP, icmp_type=3, icmp_code=0)),
        ("icmp6", Port(ICMPV6, icmp_type=128, icmp_code=0)),
        ("proto/89", Port(89)),
    ],
)
def test_ports_are_read_as_people_write_them(text: str, port: Port) -> None:
    assert parse_port(text) == port


@pytest.mark.parametrize(
    "text",
    ["", "0", "65536/tcp", "http", "tcp", "80/foo", "80/tcp/1", "icmp/256", "proto/6", "-1", "²"],
)
def test_what_is_no_port_is_told(text: str) -> None:
    with pytest.raises(NoQuestion, match=r"write 80/tcp, 53/udp or icmp"):
        parse_port(text)


def test_the_reason_names_rule_and_workloads(shop: Cluster) -> None:
    text = as_text(shop, ask(shop, "shop/web", "shop/db", parse_port("5432/tcp")))
    assert "egress of shop/web" in text
    assert "KubernetesNetworkPolicy(shop/db) ingress[0] allows it" in text
    assert "allowed, likewise" in text
    assert max(map(len, text.splitlines())) <= 80


def test_machines_get_the_rule_by_its_parts(shop: Cluster) -> None:
    data = as_data(ask(shop, "other/web", "shop/db", parse_port("5432/tcp")))
    assert data["allowed"] is False
    denied = data["packets"][0]["steps"][-1]
    assert (denied["stage"], denied["name"], denied["outcome"]) == ("tier", "default", "deny")
    assert denied["notMatched"][0]["kind"] == "KubernetesNetworkPolicy"
    assert denied["notMatched"][0]["namespace"] == "shop"


@settings(deadline=None)
@given(clusters.histories(clusters.policy_inputs))
def test_answers_are_those_of_the_resources_themselves(history: list) -> None:
    # A converted policy's key is not its own; it comes to a cluster by its Kubernetes object.
    resources = {key: r for key, r in clusters.final(history).items() if r.key == key}
    cluster = cluster_of(resources.values())
    names = [name for name, each in cluster.workloads.items() if each.addresses]
    for source in names:
        for destination in names:
            for port in ("80/tcp", "53/udp", "icmp"):
                try:
                    answer = ask(cluster, source, destination, parse_port(port))
                except NoQuestion:
                    continue
                for verdict in answer.verdicts:
                    assert verdict.allowed is brute_force.allowed(resources, verdict.packet)
