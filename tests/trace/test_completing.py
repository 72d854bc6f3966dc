"""What manifests leave out is added, and what a cluster has is left alone."""

import pytest

from tortie.api import IPPool, IPPoolSpec, Key, ObjectMeta, Pod, Resource
from tortie.api.manifests import read_manifests
from tortie.kubernetes import convert
from tortie.trace.completing import NODE, completed
from tortie.trace.templates import is_workload, pod_of

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: a, port: 80, targetPort: http}, {name: b, port: 81}]}
"""


def read(*texts: str) -> list[Resource]:
    found = read_manifests("x.yaml", "---".join(texts))
    assert found.errors == ()
    return [resource for resource, _ in found.resources]


def by_key(resources: list[Resource]) -> dict[Key, Resource]:
    return {resource.key: resource for resource in resources}


def test_a_pod_of_a_file_runs_somewhere_with_an_address_of_each_family() -> None:
    pod = by_key(completed(read(POD)))[Key("Pod", "shop", "web")]
    assert pod.spec.node_name == NODE
    assert [":" in each.ip for each in pod.status.pod_ips] == [False, True]
    assert convert(pod).spec.profiles == ("kns.shop", "ksa.shop.default")


@pytest.mark.parametrize(
    ("cidrs", "addresses"),
    [
        (("10.0.0.0/16",), ["10.0.0.1"]),
        (("fd00::/48",), ["fd00::1"]),
        (("10.0.0.0/16", "fd00::/48", "10.9.0.0/16"), ["10.0.0.1", "fd00::1"]),
    ],
)
def test_pods_get_addresses_of_the_pools(cidrs: tuple[str, ...], addresses: list[str]) -> None:
    pools = [
        IPPool(metadata=ObjectMeta(name=f"p{number}"), spec=IPPoolSpec(cidr=cidr))
        for number, cidr in enumerate(cidrs)
    ]
    pod = by_key(completed([*read(POD), *pools]))[Key("Pod", "shop", "web")]
    assert [each.ip for each in pod.status.pod_ips] == addresses


def test_a_full_pool_gives_no_addresses_and_a_taken_one_is_nobodys() -> None:
    pool = IPPool(metadata=ObjectMeta(name="p"), spec=IPPoolSpec(cidr="10.0.0.0/30"))
    running = POD.replace("spec: {", "spec: {nodeName: n1, ") + "status: {podIP: 10.0.0.1}\n"
    more = [POD.replace("name: web", f"name: {name}") for name in ("one", "two")]
    found = by_key(completed([*read(running, *more), pool]))
    assert found[Key("Pod", "shop", "one")].status.pod_ip == "10.0.0.2"
    assert found[Key("Pod", "shop", "two")].status is None


def test_pods_get_addresses_of_their_own() -> None:
    pods = [each for each in completed(read(POD, POD.replace("web", "db"))) if each.kind == "Pod"]
    assert len({address.ip for pod in pods for address in pod.status.pod_ips}) == 4


def test_a_pod_with_an_address_keeps_it() -> None:
    text = POD.replace("spec: {", "spec: {nodeName: n1, ") + "status: {podIP: 10.0.0.1}\n"
    pod = by_key(completed(read(text)))[Key("Pod", "shop", "web")]
    assert (pod.status.pod_ip, pod.status.pod_ips, pod.spec.node_name) == ("10.0.0.1", (), "n1")


def test_a_namespace_that_is_only_named_is_there_with_its_label() -> None:
    namespace = by_key(completed(read(POD)))[Key("Namespace", "", "shop")]
    assert namespace.metadata.labels == {"kubernetes.io/metadata.name": "shop"}


def test_a_service_leads_to_the_pods_that_it_selects() -> None:
    slices = [each for each in completed(read(POD, SERVICE)) if each.kind == "EndpointSlice"]
    assert {each.service for each in slices} == {"web"}
    assert [(port.name, port.port) for port in slices[0].ports] == [("a", 8080), ("b", 81)]
    assert {each.address_type for each in slices} == {"IPv4", "IPv6"}


def test_a_pod_of_another_namespace_or_label_is_not_selected() -> None:
    for other in (POD.replace("shop", "else"), POD.replace("app: web", "app: db")):
        assert not [e for e in completed(read(other, SERVICE)) if e.kind == "EndpointSlice"]


def test_what_the_cluster_has_stays_as_it_is() -> None:
    text = POD.replace("spec: {", "spec: {nodeName: n1, ") + "status: {podIP: 10.0.0.1}\n"
    running = read(text, POD.replace("web", "pending"))
    new = read(POD.replace("app: web", "app: db"))
    found = by_key(completed(new, running))
    pod = found[Key("Pod", "shop", "web")]
    assert (pod.status.pod_ip, pod.metadata.labels) == ("10.0.0.1", {"app": "db"})
    assert found[Key("Pod", "shop", "pending")].status is None


WORKLOADS = {
    "Deployment": {"apiVersion": "apps/v1", "spec": {"template": None}},
    "StatefulSet": {"apiVersion": "apps/v1", "spec": {"template": None}},
    "DaemonSet": {"apiVersion": "apps/v1", "spec": {"template": None}},
    "Job": {"apiVersion": "batch/v1", "spec": {"template": None}},
    "CronJob": {"apiVersion": "batch/v1", "spec": {"jobTemplate": {"spec": {"template": None}}}},
}
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"serviceAccountName": "web", "containers": [{"name": "c"}]},
}


def filled(value: object) -> object:
    if isinstance(value, dict):
        return {key: TEMPLATE if key == "template" else filled(v) for key, v in value.items()}
    return value


@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_workload_counts_as_the_pod_of_its_template(kind: str) -> None:
    document = {**WORKLOADS[kind], "kind": kind, "metadata": {"name": "web", "namespace": "shop"}}
    document = filled(document)
    assert is_workload(document)
    pod = pod_of(document, "default")
    assert isinstance(pod, Pod)
    assert pod.key == Key("Pod", "shop", "web")
    assert (pod.metadata.labels, pod.spec.service_account_name) == ({"app": "web"}, "web")


def test_the_version_of_a_workload_does_not_matter_and_its_namespace_may_be_left_out() -> None:
    document = {"apiVersion": "batch/v1beta1", "kind": "Job", "metadata": {"name": "web"}}
    assert is_workload(document)
    assert pod_of(filled({**WORKLOADS["Job"], **document}), "here").key == Key("Pod", "here", "web")
    assert not is_workload({"apiVersion": "x/v1", "kind": "Job"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {}}, "needs metadata.name"),
        ({"spec": {}}, "needs metadata.name and a template"),
        ({"spec": {"template": {"spec": {"containers": 3}}}}, r"Job web: its template: .*array"),
        ({"spec": {"template": {"metadata": {"labels": {"a": 1}}}}}, "Job web: its template"),
    ],
)
def test_a_workload_with_a_mistake_is_named(change: dict, message: str) -> None:
    whole = {**WORKLOADS["Job"], "kind": "Job", "metadata": {"name": "web"}, **change}
    with pytest.raises(ValueError, match=message):
        pod_of(whole, "default")
