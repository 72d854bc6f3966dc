"""Further interfaces of a pod, as its Pod's status tells of them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernetes.test_pods import pod
from tortie.api import Key, ObjectMeta
from tortie.api.validation import validate
from tortie.kubernetes import conversion, interface_name
from tortie.kubernetes.interfaces import (
    Further,
    further_condition,
    further_interfaces,
    with_further,
    without_further,
)

STORAGE = Further(
    container_id="c1", network="storage", addresses=("10.79.0.2/32",), mac="02:00:00:00:00:02"
)
KUBELETS = [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}]
UID = "5f1d9a52-7c9d-4a5b-8c7d-000000000001"


def several(metadata=None, spec=None, status=None, **interfaces):
    """A pod at 10.0.0.1 with these further interfaces."""
    found = pod({"uid": UID, **(metadata or {})}, spec, status)
    for name, one in (interfaces or {"net1": STORAGE}).items():
        found = with_further(found, name, one)
    return found


def told(message):
    """A pod whose condition says this, whoever wrote it."""
    condition = {"type": "cni.projectcalico.org/FurtherInterfaces", "message": message}
    return pod(status={"podIP": "10.0.0.1", "conditions": [*KUBELETS, condition]})


def test_each_interface_is_an_endpoint_of_its_own():
    first, second = conversion(several(spec={"serviceAccountName": "till"})).values
    assert first.key == Key("WorkloadEndpoint", "shop", "node--1-k8s-web--1-eth0")
    assert second.key == Key("WorkloadEndpoint", "shop", "node--1-k8s-web--1-net1")
    spec = second.spec
    assert (spec.node, spec.pod, spec.endpoint, spec.container_id) == (
        *("node-1", "web-1", "net1"),
        "c1",
    )
    assert (spec.ip_networks, spec.mac) == (("10.79.0.2/32",), "02:00:00:00:00:02")
    assert spec.profiles == first.spec.profiles == ("kns.shop", "ksa.shop.till")
    assert validate(second) == ()


def test_what_policy_knows_of_the_pod_holds_of_each_interface():
    containers = [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]
    annotations = {
        "qos.projectcalico.org/ingressBandwidth": "10M",
        "cni.projectcalico.org/allowedSourcePrefixes": '["10.9.0.0/16"]',
        "cni.projectcalico.org/floatingIPs": '["203.0.113.1"]',
    }
    found = several(
        {"labels": {"app": "web"}, "annotations": annotations}, {"containers": containers}
    )
    first, second = conversion(found).values
    labels = {**first.metadata.labels, "projectcalico.org/network": "storage"}
    assert second.metadata.labels == labels
    assert second.spec.ports == first.spec.ports != ()
    assert second.spec.qos_controls == first.spec.qos_controls is not None
    assert second.spec.allow_spoofed_source_prefixes == ("10.9.0.0/16",)
    assert (len(first.spec.ip_nats), second.spec.ip_nats) == (1, ())


def test_no_two_endpoints_share_a_uid_or_an_interface_and_each_keeps_its_own():
    found = several(net1=STORAGE, net2=STORAGE)
    values = conversion(found).values
    assert len({one.metadata.uid for one in values}) == 3
    assert values[0].metadata.uid == UID
    assert len({one.spec.interface_name for one in values}) == 3
    assert values == conversion(found).values


def test_the_nodes_end_is_called_by_namespace_pod_and_interface():
    # printf shop.web-1/net1 | sha1sum: what endpoints stored by earlier versions are called too
    assert interface_name("shop", "web-1", endpoint="net1") == "cali15d7e599f63"
    assert interface_name("shop", "web-1", endpoint="eth0") == interface_name("shop", "web-1")


def test_a_pod_without_a_first_address_may_have_further_ones():
    (only,) = conversion(several(status={})).values
    assert only.spec.endpoint == "net1"


@pytest.mark.parametrize("spec", [{"hostNetwork": True}, {"nodeName": ""}])
def test_a_pod_without_network_or_node_has_none(spec):
    assert conversion(several(spec=spec)).values == ()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_gives_up_all_its_addresses(phase):
    found = several(status={"phase": phase, "podIP": "10.0.0.1"})
    assert [one.spec.ip_networks for one in conversion(found).values] == [(), ()]


def test_the_end_of_the_first_interface_is_not_the_end_of_the_others():
    going = {
        "deletionTimestamp": "2026-01-31T12:00:00Z",
        "annotations": {"cni.projectcalico.org/podIP": ""},
    }
    first, second = conversion(several(going)).values
    assert (first.spec.ip_networks, second.spec.ip_networks) == ((), ("10.79.0.2/32",))


def test_one_that_goes_leaves_its_name_and_nothing_else():
    found = with_further(several(net1=STORAGE, net2=STORAGE), "net1", None)
    assert further_interfaces(found) == {"net1": Further(), "net2": STORAGE}
    assert [one.spec.endpoint for one in conversion(found).values] == ["eth0", "net2"]
    assert further_condition(found)["status"] == "True"
    assert further_condition(with_further(found, "net2", None))["status"] == "False"
    assert with_further(pod(), "net1", None) == pod()


def test_conditions_of_others_stay():
    found = pod(status={"podIP": "10.0.0.1", "conditions": KUBELETS})
    changed = with_further(found, "net1", STORAGE)
    assert changed.status.conditions[:2] == KUBELETS
    assert without_further(changed) == found


@pytest.mark.parametrize(
    "message", ["x", "[]", "7", '{"net1": 7', None, 7, "", '"\ud800"', "null", "{}"]
)
def test_a_condition_that_can_not_be_read_is_no_interface(message):
    values, warnings = conversion(told(message))
    assert [one.spec.endpoint for one in values] == ["eth0"]
    assert all("cni.projectcalico.org/FurtherInterfaces" in one for one in warnings)
    assert bool(warnings) == (message not in (None, "", "{}"))


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("eth0", {"containerID": "c2", "addresses": ["10.0.0.9/32"]}),
        ("a/b", {"containerID": "c2"}),
        ("..", {"containerID": "c2"}),
        ("", {"containerID": "c2"}),
        ("x" * 16, {"containerID": "c2"}),
        ("net2", 7),
        ("net2", {"containerID": 7}),
        ("net2", {"containerID": "c2", "addresses": "10.0.0.9"}),
    ],
)
def test_what_can_not_be_read_is_left_out_with_a_warning_and_hides_no_other(name, entry):
    good = msgspec.to_builtins(STORAGE)
    values, (warning,) = conversion(told(json.dumps({name: entry, "net1": good})))
    assert [one.spec.endpoint for one in values] == ["eth0", "net1"]
    assert values[0].spec.ip_networks == ("10.0.0.1/32",)
    assert repr(name) in warning


def test_no_annotation_makes_an_interface_or_moves_an_address():
    """Whoever may change a Pod may write its annotations; only nodes write its status."""
    known = further_condition(several())["message"]
    about = {
        "cni.projectcalico.org/FurtherInterfaces": known,
        "k8s.v1.cni.cncf.io/network-status": '[{"name": "storage", "interface": "net1",'
        ' "ips": ["10.79.0.2"]}]',
    }
    assert [one.spec.endpoint for one in conversion(pod({"annotations": about})).values] == ["eth0"]


def test_the_network_of_an_interface_is_no_label_that_a_pod_can_give_itself():
    first, second = conversion(several({"labels": {"projectcalico.org/network": "other"}})).values
    assert "projectcalico.org/network" not in first.metadata.labels
    assert second.metadata.labels["projectcalico.org/network"] == "storage"


NAMES = st.sampled_from(["net1", "net2", "lan-0", "eth1"])
FURTHER = st.builds(
    Further,
    container_id=st.sampled_from(["c1", "c2"]),
    network=st.text(max_size=4),
    addresses=st.sampled_from([(), ("10.0.0.7/32",), ("10.0.0.7/32", "fd00::7/128")]),
    mac=st.sampled_from(["", "02:00:00:00:00:09"]),
)


@given(st.lists(st.tuples(NAMES, st.none() | FURTHER)))
def test_any_order_of_attaching_and_detaching_ends_with_what_is_attached(steps):
    found, wanted = pod({"uid": UID}), {}
    for name, one in steps:
        found = with_further(found, name, one)
        wanted[name] = one
        if one is None:
            del wanted[name]
    attached = {name: one for name, one in further_interfaces(found).items() if one.container_id}
    assert attached == wanted
    values, warnings = conversion(found)
    assert warnings == ()
    assert [one.spec.endpoint for one in values] == ["eth0", *sorted(wanted)]
    assert len({one.key for one in values}) == len(values)


@given(
    st.dictionaries(
        st.text(max_size=6), st.none() | st.integers() | st.text() | st.lists(st.text())
    )
)
def test_any_condition_is_read_without_an_end(entries):
    values, _ = conversion(told(json.dumps(entries)))
    assert values[0].spec.ip_networks == ("10.0.0.1/32",)


def test_metadata_goes_with_each_endpoint():
    found = several(
        {"resourceVersion": "7", "annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"}}
    )
    for one in conversion(found).values:
        assert isinstance(one.metadata, ObjectMeta)
        assert one.metadata.resource_version == "7"
        assert one.metadata.annotations == {"k8s.v1.cni.cncf.io/network-status": "[]"}
