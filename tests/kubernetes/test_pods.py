"""Pods as WorkloadEndpoints."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tortie.api import Key, ObjectMeta, Pod, PodSpec, PodStatus
from tortie.api.validation import validate
from tortie.kubernetes import conversion, convert, interface_name, wep_name
from tortie.kubernetes.interfaces import Further, with_further
from tortie.kubernetes.pods import pod_addresses

IP = "cni.projectcalico.org/podIP"
IPS = "cni.projectcalico.org/podIPs"


def pod(metadata=None, spec=None, status=None):
    data = {
        "metadata": {"name": "web-1", "namespace": "shop", **(metadata or {})},
        "spec": {"nodeName": "node-1", "containers": [{"name": "c"}], **(spec or {})},
        "status": status if status is not None else {"podIP": "10.0.0.1"},
    }
    return msgspec.convert(data, Pod)


def endpoint(*args, **kwargs):
    (value,), warnings = conversion(pod(*args, **kwargs))
    assert warnings == ()
    assert validate(value) == ()
    return value


def test_a_pod_is_one_endpoint_named_by_node_and_pod():
    found = endpoint(spec={"serviceAccountName": "till"})
    assert found.key == Key("WorkloadEndpoint", "shop", "node--1-k8s-web--1-eth0")
    spec = found.spec
    assert (spec.orchestrator, spec.node, spec.pod, spec.endpoint) == (
        "k8s",
        "node-1",
        "web-1",
        "eth0",
    )
    assert spec.profiles == ("kns.shop", "ksa.shop.till")
    assert spec.ip_networks == ("10.0.0.1/32",)
    assert spec.interface_name == interface_name("shop", "web-1")


def test_an_interface_name_is_cali_and_eleven_digits_of_a_hash():
    # printf shop.web-1 | sha1sum: other tools compute the same name
    assert interface_name("shop", "web-1") == "cali751425ce827"
    assert interface_name("shop", "web-1", "tap") == "tap751425ce827"
    assert interface_name("shop", "web-1", "workload") == "workload751425c"  # 15 bytes


def test_parts_of_a_name_can_not_run_into_each_other():
    assert wep_name("a-b", "k8s", "c", "eth0") == "a--b-k8s-c-eth0"
    assert wep_name("a", "k8s", "b-c", "eth0") == "a-k8s-b--c-eth0"


def test_labels_tell_where_it_is_and_can_not_be_forged():
    forged = {
        "app": "web",
        "projectcalico.org/namespace": "other",
        "projectcalico.org/serviceaccount": "root",
        "projectcalico.org/orchestrator": "x",
    }
    forged["projectcalico.org/network"] = "storage"
    assert endpoint({"labels": forged}).metadata.labels == {
        "app": "web",
        "projectcalico.org/namespace": "shop",
        "projectcalico.org/orchestrator": "k8s",
    }


@pytest.mark.parametrize(("length", "labelled"), [(1, True), (62, True), (63, False)])
def test_a_service_account_is_a_label_where_its_name_fits(length, labelled):
    found = endpoint(spec={"serviceAccountName": "a" * length})
    assert ("projectcalico.org/serviceaccount" in found.metadata.labels) == labelled
    assert found.spec.profiles[1] == f"ksa.shop.{'a' * length}"


@pytest.mark.parametrize(
    ("status", "annotations", "addresses"),
    [
        (
            {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "podIP": "10.0.0.9"},
            {IP: "10.0.0.8/32"},
            ("10.0.0.1/32", "fd00::1/128"),
        ),
        ({"podIP": "10.0.0.2"}, {IPS: "10.0.0.8/32"}, ("10.0.0.2/32",)),
        ({}, {IPS: "10.0.0.3/32,fd00::3/128", IP: "10.0.0.9"}, ("10.0.0.3/32", "fd00::3/128")),
        ({}, {IP: "10.0.0.4/32"}, ("10.0.0.4/32",)),
        ({}, {"vpc.amazonaws.com/pod-ips": "10.0.0.5"}, ("10.0.0.5/32",)),
    ],
)
def test_addresses_come_from_the_first_source_that_has_any(status, annotations, addresses):
    found = endpoint({"annotations": annotations}, status=status)
    assert found.spec.ip_networks == addresses


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"hostNetwork": True}},
        {"spec": {"nodeName": ""}},
        {"status": {}},
        {"status": {}, "metadata": {"annotations": {IP: ""}}},
    ],
)
def test_a_pod_without_network_node_or_address_has_no_endpoint(changes):
    assert convert(pod(**changes)) is None


@pytest.mark.parametrize(
    ("metadata", "phase", "kept"),
    [
        ({}, "Running", True),
        ({}, "Succeeded", False),
        ({}, "Failed", False),
        ({"deletionTimestamp": "2026-01-31T12:00:00Z"}, "Running", True),
        (
            {"deletionTimestamp": "2026-01-31T12:00:00Z", "annotations": {IP: ""}},
            "Running",
            False,
        ),
        ({"annotations": {IP: ""}}, "Running", True),
    ],
)
def test_a_pod_that_has_ended_gives_up_its_addresses(metadata, phase, kept):
    found = endpoint(metadata, status={"phase": phase, "podIP": "10.0.0.1"})
    assert bool(found.spec.ip_networks) == kept


def test_ports_with_a_name_or_a_host_port_can_be_named():
    containers = [
        {
            "name": "c",
            "ports": [
                {"containerPort": 80, "name": "http"},
                {"containerPort": 81},
                {"containerPort": 53, "protocol": "UDP", "hostPort": 5353, "hostIP": "10.1.1.1"},
            ],
        }
    ]
    first = [{"name": "i", "ports": [{"containerPort": 9, "name": "init", "protocol": "SCTP"}]}]
    found = endpoint(spec={"containers": containers, "initContainers": first}).spec.ports
    assert [(port.name, port.protocol, port.port, port.host_port) for port in found] == [
        ("http", "TCP", 80, None),
        ("", "UDP", 53, 5353),
        ("init", "SCTP", 9, None),
    ]


def test_annotations_carry_floating_ips_and_allowed_sources():
    annotations = {
        "cni.projectcalico.org/floatingIPs": '["203.0.113.1", "2001:db8::1"]',
        "cni.projectcalico.org/allowedSourcePrefixes": '["10.9.0.1/16"]',
        "cni.projectcalico.org/containerID": "abc",
        "k8s.v1.cni.cncf.io/network-status": "[]",
        "other": "x",
    }
    found = endpoint({"annotations": annotations})
    assert [(nat.internal_ip, nat.external_ip) for nat in found.spec.ip_nats] == [
        ("10.0.0.1", "203.0.113.1")
    ]
    assert found.spec.allow_spoofed_source_prefixes == ("10.9.0.0/16",)
    assert found.spec.container_id == "abc"
    assert found.metadata.annotations == {"k8s.v1.cni.cncf.io/network-status": "[]"}


@pytest.mark.parametrize(
    ("annotations", "status"),
    [
        ({"cni.projectcalico.org/floatingIPs": "x"}, {"podIP": "10.0.0.1"}),
        ({"cni.projectcalico.org/floatingIPs": "[1]"}, {"podIP": "10.0.0.1"}),
        ({"cni.projectcalico.org/allowedSourcePrefixes": '["10.0.0.0/33"]'}, {"podIP": "10.0.0.1"}),
        ({IPS: "10.0.0.1/32,nonsense"}, {}),
    ],
)
def test_what_can_not_be_read_is_left_out_with_a_warning(annotations, status):
    (value,), (warning,) = conversion(pod({"annotations": annotations}, status=status))
    assert value.spec.ip_networks == ("10.0.0.1/32",)
    assert value.spec.ip_nats == value.spec.allow_spoofed_source_prefixes == ()
    assert warning.startswith("Pod shop/web-1: ")


@pytest.mark.parametrize(
    ("status", "limited"),
    [
        (None, True),
        (PodStatus(), True),
        (PodStatus(phase="Pending"), False),
        (PodStatus(phase="Pending", pod_ip="10.0.0.1"), True),
        (PodStatus(phase="Running"), True),
    ],
)
def test_kubernetes_bandwidth_is_limited_once_the_chain_of_plugins_has_run(status, limited):
    asked = {
        "kubernetes.io/ingress-bandwidth": "10M",
        "qos.projectcalico.org/egressBandwidth": "5M",
        "cni.projectcalico.org/podIPs": "10.0.0.1/32",
    }
    metadata = ObjectMeta(name="web", namespace="shop", annotations=asked)
    made = Pod(metadata=metadata, spec=PodSpec(node_name="n1"), status=status)
    found = convert(made).spec.qos_controls
    assert found.ingress_bandwidth == (10_000_000 if limited else None)
    assert found.egress_bandwidth == 5_000_000


TEXTS = st.sampled_from(["", "10.0.0.1", "10.0.0.2,fd00::2", "nonsense", "10.0.0.1/24"])


@given(
    phase=st.sampled_from(["", "Running", "Succeeded", "Failed"]),
    going=st.sampled_from([None, "2024-01-01T00:00:00Z"]),
    node=st.sampled_from(["", "node-1"]),
    host=st.booleans(),
    said=TEXTS,
    noted=st.none() | TEXTS,
    further=st.dictionaries(st.sampled_from(["net1", "eth0", "a/b"]), TEXTS),
)
def test_a_pod_may_use_its_endpoints_addresses_and_what_was_noted(
    phase, going, node, host, said, noted, further
):
    found = pod(
        metadata={"deletionTimestamp": going, "annotations": {} if noted is None else {IP: noted}},
        spec={"nodeName": node, "hostNetwork": host},
        status={"podIP": said, "phase": phase},
    )
    for name, texts in further.items():
        told = Further(container_id="c1", addresses=tuple(texts.split(",")))
        found = with_further(found, name, told)
    values = conversion(found).values
    used = set(pod_addresses(found))
    assert used.issuperset(text for one in values for text in one.spec.ip_networks)
    heard = replace(found, status=replace(found.status, pod_ips=(), pod_ip=""))
    unheard = conversion(heard).values
    assert used.issuperset(text for one in unheard for text in one.spec.ip_networks)
    both = {text for one in (*values, *unheard) for text in one.spec.ip_networks}
    assert used == both
