"""Facts of Calico's conversion that other tools rely on, spelt out as Calico has them."""

import msgspec
import pytest

from tortie.api import (
    EndpointPort,
    Key,
    KubernetesNetworkPolicy,
    Namespace,
    Pod,
    ServiceAccount,
    WorkloadEndpoint,
    kind_named,
)
from tortie.kubernetes import CONVERTED_KINDS, conversion, convert, converted_key
from tortie.kubernetes.names import converted_uid
from tortie.kubernetes.qos import qos_controls

IP, IPS = "cni.projectcalico.org/podIP", "cni.projectcalico.org/podIPs"
AWS = "vpc.amazonaws.com/pod-ips"
SOURCES = {
    "podIPs": "10.0.0.1",
    "podIP": "10.0.0.2",
    IPS: "10.0.0.3",
    IP: "10.0.0.4",
    AWS: "10.0.0.5",
}
ORDER = list(SOURCES)


def pod(phase="Running", status=None, annotations=None, **spec):
    data = {
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations or {}},
        "spec": {"nodeName": "n", "containers": [{"name": "c"}], **spec},
        "status": {"phase": phase, **(status or {})},
    }
    return msgspec.convert(data, Pod)


def endpoint(*args, **kwargs):
    found = convert(pod(*args, **kwargs))
    assert isinstance(found, WorkloadEndpoint)
    return found.spec


@pytest.mark.parametrize("first", ORDER)
def test_every_source_of_addresses_hides_those_after_it(first):
    there = {name: SOURCES[name] for name in ORDER[ORDER.index(first) :]}
    status = {
        name: [{"ip": there[name]}] if name == "podIPs" else there[name]
        for name in ("podIPs", "podIP")
        if name in there
    }
    annotations = {name: there[name] for name in (IPS, IP, AWS) if name in there}
    found = endpoint(status=status, annotations=annotations)
    assert found.ip_networks == (f"{SOURCES[first]}/32",)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Completed"])
@pytest.mark.parametrize("source", ["podIP", AWS])
def test_a_pod_that_is_over_has_no_addresses_wherever_they_would_come_from(phase, source):
    there = {source: "10.0.0.1"}
    annotations = there if source == AWS else {}
    found = endpoint(phase, status={} if source == AWS else there, annotations=annotations)
    assert found.ip_networks == ()


def test_host_ports_of_all_containers_and_protocols_are_kept_with_their_address():
    ports = [
        {"containerPort": 53, "protocol": "UDP", "hostPort": 5353, "hostIP": "10.1.1.1"},
        {"containerPort": 80, "hostPort": 80},
        {"containerPort": 81},
        {"containerPort": 82, "hostPort": 0},
    ]
    first = [{"name": "i", "ports": [{"containerPort": 9, "protocol": "SCTP", "hostPort": 9}]}]
    spec = {"containers": [{"name": "c", "ports": ports}], "initContainers": first}
    assert endpoint(status={"podIP": "10.0.0.1"}, **spec).ports == (
        EndpointPort(protocol="UDP", port=53, host_port=5353, host_ip="10.1.1.1"),
        EndpointPort(protocol="TCP", port=80, host_port=80),
        EndpointPort(protocol="SCTP", port=9, host_port=9),
    )


RANGES = [  # annotation, field, least, most; from Calico's documentation of its annotations
    ("Bandwidth", "bandwidth", 10**3, 10**15),
    ("Burst", "burst", 10**3, 34_359_738_360),
    ("Peakrate", "peakrate", 1_010, 1_010 * 10**12),
    ("Minburst", "minburst", 10**3, 10**8),
    ("PacketRate", "packet_rate", 1, 10_000),
    ("PacketBurst", "packet_burst", 1, 10_000),
    ("MaxConnections", "max_connections", 1, 2**32 - 1),
]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize(("annotation", "field", "least", "most"), RANGES)
def test_limits_are_held_to_their_ranges(direction, annotation, field, least, most):
    prefix = f"qos.projectcalico.org/{direction}"
    others = {f"{prefix}{name}": "2k" for name in ("Bandwidth", "Peakrate", "PacketRate")}
    for value, used in (
        ("0", least),
        (least - 1, least),
        (least, least),
        (most, most),
        (most + 1, most),
        ("1E", most),
    ):
        found = qos_controls({**others, f"{prefix}{annotation}": str(value)}, [])
        assert getattr(found, f"{direction}_{field}") == used


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Burst": "2k"}, {}),
        ({"Bandwidth": "1k"}, {"bandwidth": 1000, "burst": 4 * 2**30}),
        ({"Bandwidth": "1k", "Minburst": "2k"}, {"bandwidth": 1000, "burst": 4 * 2**30}),
        ({"PacketRate": "7"}, {"packet_rate": 7, "packet_burst": 5}),
        ({"PacketBurst": "7"}, {}),
    ],
)
def test_limits_that_belong_together(given, expected):
    found = qos_controls({f"qos.projectcalico.org/egress{k}": v for k, v in given.items()}, [])
    values = {name: getattr(found, f"egress_{name}", None) for _, name, *_ in RANGES}
    assert {name: value for name, value in values.items() if value is not None} == expected


def test_a_uid_is_the_free_bits_in_reverse():
    #      0x…1 at the end becomes 0x8… at the start; version (4) and variant (8 to b) stay
    assert converted_uid("00000000-0000-4000-8000-000000000001") == (
        "80000000-0000-4000-8000-000000000000"
    )
    assert converted_uid("ffffffff-ffff-4fff-bfff-ffffffffffff") == (
        "ffffffff-ffff-4fff-bfff-ffffffffffff"
    )


def test_a_profile_has_the_revisions_of_both_kinds_that_give_profiles():
    meta = {"name": "a", "namespace": "b", "resourceVersion": "12"}
    namespace = msgspec.convert({"metadata": {**meta, "namespace": ""}}, Namespace)
    account = msgspec.convert({"metadata": meta}, ServiceAccount)
    assert convert(namespace).metadata.resource_version == "12/"
    assert convert(account).metadata.resource_version == "/12"
    assert convert(Namespace()).metadata.resource_version == ""


@pytest.mark.parametrize("kind", ["Service", "EndpointSlice", "KubernetesNode"])
def test_services_slices_and_nodes_stand_for_themselves(kind):
    data = {"metadata": {"name": "a"}, "spec": {"ports": []}}
    if kind == "EndpointSlice":
        data = {"metadata": {"name": "a"}, "addressType": "IPv4"}
    resource = msgspec.convert(data, kind_named(kind).type)
    assert conversion(resource) == ((resource,), ())
    assert convert(resource) is resource
    assert converted_key(resource.key) == resource.key
    assert kind not in CONVERTED_KINDS


def test_a_policy_of_kubernetes_can_have_more_ports_than_a_rule_holds():
    ports = [{"port": 2 * n + 1} for n in range(120)]
    data = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"ingress": [{"ports": ports}]}}
    policy = convert(msgspec.convert(data, KubernetesNetworkPolicy))
    assert [len(rule.destination.ports) for rule in policy.spec.ingress] == [50, 50, 20]


@pytest.mark.parametrize("name", ["pod-ips", "Pod-IPs"])
def test_annotations_are_named_exactly(name):
    found = convert(pod(annotations={f"vpc.amazonaws.com/{name}": "10.0.0.5"}))
    assert (found is not None) == (name == "pod-ips")


def test_a_key_of_a_deleted_profile_is_the_one_that_was_put():
    for source in (
        msgspec.convert({"metadata": {"name": "a"}}, Namespace),
        msgspec.convert({"metadata": {"name": "a", "namespace": "b"}}, ServiceAccount),
    ):
        assert convert(source).key == converted_key(source.key) != Key("Profile", "", "a")
