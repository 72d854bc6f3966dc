"""What is read of a cluster's answers."""

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.net import parse_network
from tortie.requirements.cluster import reading
from tortie.requirements.cluster.facts import KubeProxy
from tortie.requirements.cluster.reading import Right

CONFIG = """
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
iptables:
  masqueradeAll: {masquerade}
  masqueradeBit: null
kind: KubeProxyConfiguration
mode: "{mode}"
"""


def config_map(mode: str, masquerade: str) -> dict[str, Any]:
    text = CONFIG.format(mode=mode, masquerade=masquerade)
    return {"data": {"config.conf": text, "kubeconfig.conf": "apiVersion: v1\n"}}


def daemon_set(*words: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"command": list(words)}]}}}}


MAP, SET = "ConfigMap kube-proxy", "DaemonSet kube-proxy"


@pytest.mark.parametrize(
    ("config", "daemons", "proxy"),
    [
        (None, None, KubeProxy()),
        (config_map("", "false"), None, KubeProxy("", False, MAP)),
        (config_map("ipvs", "true"), None, KubeProxy("ipvs", True, MAP)),
        (None, daemon_set("kube-proxy", "--proxy-mode=ipvs"), KubeProxy("ipvs", False, SET)),
        (None, daemon_set("kube-proxy", "--masquerade-all"), KubeProxy("", True, SET)),
        (None, daemon_set("kube-proxy", "--masquerade-all=false"), KubeProxy("", False, SET)),
        (
            config_map("ipvs", "true"),
            daemon_set("kube-proxy", "--proxy-mode", "iptables", "--masquerade-all=false"),
            KubeProxy("iptables", False, MAP),
        ),
        ({"data": None}, {"spec": None}, KubeProxy("", False, SET)),
    ],
)
def test_how_kube_proxy_runs(config: Any, daemons: Any, proxy: KubeProxy) -> None:
    assert reading.proxy_of(config, daemons) == proxy


def test_service_ranges_by_the_first_who_knows_them() -> None:
    cidrs = {"items": [{"spec": {"cidrs": ["10.0.0.0/24", "fd00::/112"]}}]}
    kubeadm = {"data": {"ClusterConfiguration": "networking:\n  serviceSubnet: 10.96.0.0/12\n"}}
    words = ["kube-apiserver", "--service-cluster-ip-range=10.97.0.0/16,nonsense"]
    servers = {"items": [{"spec": {"containers": [{"command": words}]}}]}
    first = (parse_network("10.0.0.0/24"), parse_network("fd00::/112"))
    assert reading.service_ranges(cidrs, kubeadm, servers) == first
    second = (parse_network("10.96.0.0/12"),)
    assert reading.service_ranges({"items": []}, kubeadm, servers) == second
    assert reading.service_ranges(None, None, servers) == (parse_network("10.97.0.0/16"),)
    assert reading.service_ranges(None, None, None) == ()


def test_nodes_addresses_without_their_names() -> None:
    addresses = [{"address": "192.0.2.7"}, {"address": "node-1"}, {"address": "2001:db8::7"}]
    nodes = {"items": [{"status": {"addresses": addresses}}, {"status": {}}]}
    assert [str(one) for one in reading.node_addresses(nodes)] == [
        "192.0.2.7/32",
        "2001:db8::7/128",
    ]


def test_istios_version_by_label_or_image() -> None:
    assert reading.istio_version(None) == ""
    labels = {"metadata": {"labels": {"app.kubernetes.io/version": "1.22.3"}}}
    assert reading.istio_version(labels) == "1.22.3"
    image = daemon_set()
    image["spec"]["template"]["spec"]["containers"] = [{"image": "reg:5000/pilot:1.20.1@sha256:0"}]
    assert reading.istio_version(image) == "1.20.1"


def rules(*some: dict[str, Any]) -> dict[str, Any]:
    return {"status": {"resourceRules": list(some), "incomplete": False}}


PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "*/status"]}


@pytest.mark.parametrize(
    ("right", "allowed"),
    [
        (Right("get", "", "pods"), True),
        (Right("watch", "", "pods"), False),
        (Right("get", "", "nodes"), False),
        (Right("get", "apps", "pods"), False),
        (Right("get", "", "nodes/status"), True),
        (Right("get", "", "nodes/proxy"), False),
        (Right("get", "", "namespaces", "kube-system"), True),
        (Right("get", "", "namespaces", "default"), False),
    ],
)
def test_rights_are_read_as_the_server_means_them(right: Right, allowed: bool) -> None:
    named = {
        "verbs": ["get"],
        "apiGroups": [""],
        "resources": ["namespaces"],
        "resourceNames": ["kube-system"],
    }
    assert (reading.denied([right], rules(PODS, named)) == ()) is allowed


def test_an_administrator_may_do_everything() -> None:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    wanted = [Right("delete", "apps", "deployments"), Right("patch", "", "nodes/status")]
    assert reading.denied(wanted, rules(everything)) == ()
    told = ("delete deployments.apps", "patch nodes/status")
    assert reading.denied(wanted, rules()) == told


def test_a_server_that_cannot_tell_denies_nothing() -> None:
    assert reading.denied([Right("get", "", "pods")], {"status": {"incomplete": True}}) == ()


@given(st.floats(-1e6, 1e6), st.floats(0, 3))
def test_the_clock_is_told_as_far_as_a_date_tells_it(ahead: float, took: float) -> None:
    before = 1_700_000_000.5
    theirs = before + took / 2 + ahead
    found = reading.clock_difference(formatdate(theirs, usegmt=True), before, before + took)
    assert found is not None
    assert abs(found - ahead) <= 1 + took
    assert found == 0 or (found > 0) == (ahead > 0)


def test_no_date_is_no_clock() -> None:
    assert reading.clock_difference(None, 0, 1) is None
    assert reading.clock_difference("yesterday", 0, 1) is None


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "spec", "data", "status", "containers", "template", "cidrs"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_answers_of_any_shape_are_read_without_a_fault(answer: Any) -> None:
    for read in (
        reading.node_addresses,
        reading.istio_version,
        lambda one: reading.proxy_of(one, one),
        lambda one: reading.service_ranges(one, one, one),
        lambda one: reading.denied([Right("get", "", "pods")], one),
    ):
        read(answer)
