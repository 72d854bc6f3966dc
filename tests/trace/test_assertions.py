"""Assertions hold or are broken as the evaluator says, and never check nothing."""

import pytest

from tortie.api.manifests import read_manifests
from tortie.trace.assertions import BadAssertions, Outcome, read_assertions, verify
from tortie.trace.cluster import Cluster, cluster_of
from tortie.trace.completing import completed

PODS = "---".join(
    f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec: {{containers: [{{name: c}}]}}
"""
    for namespace, name in [("shop", "web"), ("shop", "api"), ("shop", "db"), ("guest", "laptop")]
)
REST = """---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: api}}}]
    ports: [{port: 5432}]
"""


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    found = read_manifests("shop.yaml", PODS + REST)
    assert found.errors == ()
    return cluster_of(completed([resource for resource, _ in found.resources]))


def judged(cluster: Cluster, text: str) -> list[Outcome]:
    return list(verify(cluster, read_assertions("a.yaml", text)))


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("allowed: [{from: shop/api, to: shop/db, ports: [5432/tcp]}]", True),
        ("allowed: [{from: shop/web, to: shop/db, ports: [5432/tcp]}]", False),
        ("denied: [{from: shop/web, to: shop/db}]", True),
        ("denied: [{from: shop/api, to: shop/db}]", False),
        ("denied: [{from: [guest/*, outside], to: shop/db}]", True),
        ("denied: [{from: '*', to: shop/db, ports: 5433/tcp}]", True),
        ("denied: [{from: '*', to: shop/db, ports: 5432/tcp}]", False),
        ("denied: [{from: guest/laptop, to: {namespace: shop, selector: app == 'db'}}]", True),
        ("denied: [{from: guest/laptop, to: {namespace: shop}}]", False),
        ("allowed: [{from: guest/laptop, to: svc/shop/api, ports: [80]}]", True),
        ("denied: [{from: guest/laptop, to: svc/shop/api}]", False),
        ("allowed: [{from: outside, to: shop/web, ports: [icmp, 1/udp]}]", True),
        ("allowed: [{from: shop/db, to: outside, ports: [443]}]", True),
    ],
)
def test_a_line_holds_or_is_broken(cluster: Cluster, line: str, holds: bool) -> None:
    (outcome,) = judged(cluster, line)
    assert (not outcome.broken) is holds
    assert outcome.checked > 0


def test_a_broken_line_names_the_connections(cluster: Cluster) -> None:
    (outcome,) = judged(cluster, "denied: [{from: shop/*, to: shop/db, ports: [5432/tcp]}]")
    assert {(b.source, b.destination, str(b.port)) for b in outcome.broken} == {
        ("shop/api", "shop/db", "5432/tcp")
    }
    assert outcome.checked == 4  # web and api, in both families


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no assertion"),
        ("allowed: []", "no assertion"),
        ("allow: [{from: a, to: b}]", "unknown field"),
        ("allowed: [{from: a, to: b}]", r"allowed\[0\]: say which ports"),
        ("denied: [{from: a}]", "missing required field `to`"),
        ("denied: [{from: a, to: b, prots: [80]}]", "unknown field `prots`"),
        ("denied: 3", "Expected `array`"),
        ("- 3", "Expected `object`"),
        ("a: [", r"a\.yaml:\d+: broken YAML"),
    ],
)
def test_a_file_that_is_none_is_told(text: str, message: str) -> None:
    with pytest.raises(BadAssertions, match=message):
        read_assertions("a.yaml", text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{from: shop/wbe, to: shop/db}", r"denied\[0\]: 'shop/wbe' is no .* shop/web"),
        ("{from: nobody/*, to: shop/db}", "no workload is like"),
        ("{from: {selector: app == 'x'}, to: shop/db}", "no workload of namespace"),
        ("{from: {selector: app ==}, to: shop/db}", "app =="),
        ("{from: shop/db, to: shop/db}", "judges no connection"),
        ("{from: svc/shop/api, to: shop/db}", "never come from"),
        ("{from: shop/web, to: shop/db, ports: [http]}", "is no port"),
        ("{from: shop/web, to: svc/shop/api, ports: [81]}", "has no port 81/tcp"),
    ],
)
def test_an_assertion_that_checks_nothing_is_a_mistake(
    cluster: Cluster, line: str, message: str
) -> None:
    with pytest.raises(BadAssertions, match=message):
        judged(cluster, f"denied: [{line}]")
