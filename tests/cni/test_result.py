"""Results and names: the forms that runtimes and other parts rely on."""

import pytest

from tortie.api import ObjectMeta, Pod, PodSpec
from tortie.cni.errors import CniError
from tortie.cni.result import Attached, render
from tortie.cni.workload import (
    Workload,
    check_name,
    check_pod,
    endpoint_resource,
    with_interface,
    without_interface,
)
from tortie.kubernetes import conversion, convert, names
from tortie.net import parse_prefix

ATTACHED = Attached(
    "cali1",
    "eth0",
    "/run/netns/x",
    "02:00:00:00:00:01",
    1450,
    (parse_prefix("10.0.0.1/32"),),
    (parse_prefix("0.0.0.0/0"),),
)


def test_a_result_in_the_form_of_1_0():
    assert render(ATTACHED, "1.0.0") == {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "cali1", "mac": "ee:ee:ee:ee:ee:ee"},
            {"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/x"},
        ],
        "ips": [{"interface": 1, "address": "10.0.0.1/32", "gateway": "169.254.1.1"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
        "dns": {},
    }


@pytest.mark.parametrize(
    ("version", "ip_version", "mtu"),
    [("0.3.1", "4", None), ("0.4.0", "4", None), ("1.0.0", None, None), ("1.1.0", None, 1450)],
)
def test_each_version_has_the_fields_of_its_specification(version, ip_version, mtu):
    result = render(ATTACHED, version)
    assert result["cniVersion"] == version
    assert result["ips"][0].get("version") == ip_version
    assert result["interfaces"][1].get("mtu") == mtu


def pod(**spec):
    return Pod(metadata=ObjectMeta(name="web-0", namespace="shop"), spec=PodSpec(**spec))


WORKLOAD = Workload("n-1", "shop", "web-0", "k8s", "c1")


def test_a_pods_endpoint_is_the_one_that_its_annotations_convert_to():
    annotated = with_interface(pod(node_name="n-1"), WORKLOAD, "net", ("10.0.0.1/32",), "")
    endpoint = convert(annotated)
    assert tuple(endpoint.key) == tuple(WORKLOAD.endpoint)
    assert endpoint.spec.interface_name == WORKLOAD.interface
    assert endpoint.spec.ip_networks == ("10.0.0.1/32",)
    assert endpoint.spec.container_id == "c1"


def test_taking_addresses_back_leaves_no_endpoint():
    attached = with_interface(pod(node_name="n-1"), WORKLOAD, "net", ("10.0.0.1/32",), "")
    detached = without_interface(attached, WORKLOAD)
    assert detached.metadata.annotations[names.POD_IP] == ""
    assert convert(detached) is None


def test_a_further_interface_is_the_endpoint_that_its_pods_status_converts_to():
    further = Workload("n-1", "shop", "web-0", "k8s", "c1", ifname="net1")
    attached = with_interface(pod(node_name="n-1"), further, "lan", ("10.0.0.1/32",), "")
    (found,) = conversion(attached).values
    assert tuple(found.key) == tuple(further.endpoint)
    assert found.spec.interface_name == further.interface
    assert conversion(without_interface(attached, further)).values == ()


def test_a_stored_endpoint_has_the_same_names_as_the_workload():
    endpoint = endpoint_resource(WORKLOAD, "net", ("10.0.0.1/32",), "02:00:00:00:00:01")
    assert tuple(endpoint.key) == tuple(WORKLOAD.endpoint)
    assert endpoint.metadata.name == "n--1-k8s-web--0-eth0"
    assert endpoint.spec.profiles == ("kns.shop",)


def test_a_container_of_no_orchestrator_is_named_by_its_id():
    own = Workload("n-1", "default", "c1", "cni", "c1")
    endpoint = endpoint_resource(own, "net", ("10.0.0.1/32",), "02:00:00:00:00:01")
    assert endpoint.metadata.name == "n--1-cni-c1-eth0"
    assert endpoint.spec.profiles == ("net",)
    assert len(own.interface) == 15


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"node_name": "n-2"}, "Pod shop/web-0 is on node n-2, this is n-1"),
        ({}, "on no node yet"),
        ({"node_name": "n-1", "host_network": True}, "the node's own network"),
    ],
)
def test_a_pod_of_another_node_is_not_attached(spec, said):
    with pytest.raises(CniError) as caught:
        check_pod(pod(**spec), WORKLOAD)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("told", "annotations", "fits"),
    [
        ("", {}, True),
        ("uid-1", {}, True),
        ("uid-0", {}, False),
        ("uid-0", {"kubernetes.io/config.mirror": "uid-0"}, True),  # a static pod's
    ],
)
def test_an_earlier_pods_container_is_not_attached_as_its_successor(told, annotations, fits):
    """Labels and policy would be another's."""
    metadata = ObjectMeta(name="web-0", namespace="shop", uid="uid-1", annotations=annotations)
    found = Pod(metadata=metadata, spec=PodSpec(node_name="n-1"))
    workload = Workload("n-1", "shop", "web-0", "k8s", "c1", uid=told)
    if fits:
        check_pod(found, workload)
        return
    with pytest.raises(CniError, match="has the UID uid-1") as caught:
        check_pod(found, workload)
    assert caught.value.code == 11


def test_a_stored_endpoint_tells_which_pod_of_that_name_it_is_of():
    workload = Workload("n-1", "shop", "web-0", "k8s", "c1", uid="uid-1")
    stored = endpoint_resource(workload, "net", (), "").metadata.annotations
    assert stored == {"cni.projectcalico.org/podUID": "uid-1"}
    assert endpoint_resource(WORKLOAD, "net", (), "").metadata.annotations == {}


@pytest.mark.parametrize("uid", ["a b", "a/b", "x" * 65, "\n"])
def test_what_can_be_no_uid_is_refused(uid):
    with pytest.raises(CniError, match="K8S_POD_UID"):
        check_name(Workload("n", "shop", "web", "k8s", "c", uid=uid))


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("../x", "web"), ("shop", "a\nb"), ("a" * 64, "web"), ("shop", "b" * 254)],
)
def test_what_can_be_no_pods_name_is_not_attached(namespace, name):
    with pytest.raises(CniError) as caught:
        check_name(Workload("n", namespace, name, "k8s", "c"))
    assert caught.value.code == 4
    assert len(caught.value.message) < 200
    check_name(Workload("n", "shop", "web-0.a", "k8s", "c"))
