"""Objects on the wire: both groups, Nodes, what follows from Pods, and what can't be read."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    Key,
    NetworkSet,
    NetworkSetSpec,
    Node,
    NodeBgp,
    NodeSpec,
    NodeStatus,
    ObjectMeta,
    Pod,
    Resource,
    WorkloadEndpoint,
    with_metadata,
)
from tortie.api.calico.node import NodeInterface, NodeWireguard, OrchRef
from tortie.datastore import Deleted, Gone, Invalid, Malformed, NotFound, Put, Unavailable
from tortie.datastore.kubernetes.custom import METADATA, StoredForm, labelled
from tortie.datastore.kubernetes.decoding import Bookmark, events_of, head_of, object_of, page_of
from tortie.datastore.kubernetes.derived import source_key
from tortie.datastore.kubernetes.nodes import NodeForm
from tortie.datastore.kubernetes.places import Place, place_of
from tortie.datastore.settings import CRD_V1, CRD_V3
from tortie.kubernetes.interfaces import Further, with_further
from tortie.kubernetes.names import converted_uid, wep_name

UID = "5f1d9a52-7c9d-4a5b-8c7d-000000000001"
PODS = place_of("Pod", CRD_V1, False)
SETS = place_of("NetworkSet", CRD_V1, False)

texts = st.dictionaries(
    st.sampled_from(["app", "projectcalico.org/tier", "example.com/note", "кот"]),
    st.text(max_size=5),
)


def _served(body: bytes, **metadata: Any) -> bytes:
    """What a server gives for what was sent to it."""
    found = json.loads(body)
    found["metadata"] |= {"uid": UID, "resourceVersion": "7", **metadata}
    found["metadata"]["managedFields"] = [{"manager": "x", "fieldsV1": {"f:spec": {}}}]
    return json.dumps(found).encode()


@given(texts, texts)
def test_metadata_of_the_first_group_comes_back_whole(
    labels: dict[str, str], annotations: dict[str, str]
) -> None:
    owners = [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": UID}]
    metadata = ObjectMeta(
        name="a",
        namespace="n",
        labels=labels,
        annotations=annotations,
        owner_references=owners,
        finalizers=["example.com/wait"],
    )
    form = StoredForm("NetworkSet", "NetworkSet")
    sent = form.new(NetworkSet(metadata=metadata, spec=NetworkSetSpec()))
    stored = json.loads(sent)["metadata"]
    assert "finalizers" not in stored
    assert "ownerReferences" not in stored
    assert all("projectcalico.org/" in name for name in stored.get("labels", {}))
    assert all("projectcalico.org/" in name for name in stored["annotations"])
    found = object_of(_served(sent), SETS)
    assert isinstance(found, NetworkSet)
    assert found.metadata == msgspec.structs.replace(
        metadata, uid=converted_uid(UID), resource_version="7"
    )


def test_what_calico_stored_is_read() -> None:
    kept = '{"uid":"x","creationTimestamp":null,"labels":{"app":"b"},"ownerReferences":null}'
    metadata = {
        "name": "a",
        "namespace": "n",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "a", "old": "1"},
        "annotations": {METADATA: kept, "other": "1"},
        "generation": 4,
    }
    body = json.dumps({"metadata": metadata, "spec": {"nets": ["10.0.0.0/8"]}}).encode()
    found = object_of(_served(body), SETS)
    assert isinstance(found, NetworkSet)
    assert found.metadata.labels == {"app": "b", "old": "1"}
    assert found.metadata.annotations == {"other": "1"}
    assert found.metadata.creation_timestamp == "2026-01-01T00:00:00Z"
    assert found.metadata.uid == converted_uid(UID)
    assert found.metadata.generation is None


def _affinity() -> BlockAffinity:
    spec = BlockAffinitySpec(state="confirmed", node="n1", type="host", cidr="10.0.0.0/26")
    return BlockAffinity(metadata=ObjectMeta(name="n1-10-0-0-0-26"), spec=spec)


def test_affinities_can_be_selected_by_host_type_and_family() -> None:
    assert labelled(_affinity()).metadata.labels == {
        # Base 32 of the SHA3-256 of "n1", without padding: it has to fit into a label.
        "projectcalico.org/hostname-hash": "DM7EHBDU4L3ELKRER4A46T6QMKAGARQI4CVWBO26S4I2IDAAW6CA",
        "projectcalico.org/affinity-type": "host",
        "projectcalico.org/ip-version": "4",
    }


@pytest.mark.parametrize(("group", "written"), [(CRD_V1, "false"), (CRD_V3, False)])
def test_the_first_group_says_deleted_in_words_for_affinities(group: str, written: object) -> None:
    place = place_of("BlockAffinity", group, False)
    sent = place.form.new(_affinity())
    assert json.loads(sent)["spec"]["deleted"] == written
    found = object_of(_served(sent), place)
    assert isinstance(found, BlockAffinity)
    assert found.spec.deleted is False
    marked = place.form.marked(_served(sent))  # type: ignore[attr-defined]
    found = object_of(marked, place)
    assert isinstance(found, BlockAffinity)
    assert found.spec.deleted is True
    again = place.form.changed(marked, _affinity(), "7")
    assert again is not None
    assert json.loads(again.body)["spec"]["deleted"] == written


def test_fields_that_definitions_require_are_written() -> None:
    from tortie.api import IPAMHandle, IPAMHandleSpec

    handle = IPAMHandle(
        metadata=ObjectMeta(name="h"), spec=IPAMHandleSpec(handle_id="h", block={"10.0.0.0/26": 1})
    )
    for group in (CRD_V1, CRD_V3):
        spec = json.loads(place_of("IPAMHandle", group, False).form.new(handle))["spec"]
        assert spec == {"handleID": "h", "block": {"10.0.0.0/26": 1}, "deleted": False}


def test_the_configuration_of_addresses_has_another_name_in_the_first_group() -> None:
    assert place_of("IPAMConfiguration", CRD_V1, False).definition == (
        "ipamconfigs.crd.projectcalico.org"
    )
    assert place_of("IPAMConfiguration", CRD_V3, False).plural == "ipamconfigurations"


# Nodes

MACHINE: dict[str, Any] = {
    "metadata": {
        "name": "n1",
        "uid": UID,
        "resourceVersion": "7",
        "labels": {"kubernetes.io/os": "linux"},
        "annotations": {"volumes.kubernetes.io/attached": "true"},
    },
    "spec": {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"], "providerID": "aws:///x"},
    "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]},
}


def _node(body: dict[str, Any], pod_cidr: bool = False) -> Node:
    found = object_of(json.dumps(body).encode(), place_of("Node", CRD_V1, pod_cidr))
    assert isinstance(found, Node)
    return found


def _patched(body: dict[str, Any], patch: bytes) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(body))
    changes = json.loads(patch)["metadata"]["annotations"]
    merged = {**result["metadata"]["annotations"], **changes}
    result["metadata"]["annotations"] = {k: v for k, v in merged.items() if v is not None}
    return result


def test_a_node_comes_back_from_its_annotations() -> None:
    before = _node(MACHINE)
    wanted = msgspec.structs.replace(
        before,
        metadata=msgspec.structs.replace(
            before.metadata,
            labels={**before.metadata.labels, "rack": "r1"},
            annotations={**before.metadata.annotations, "note": "x"},
        ),
        spec=msgspec.structs.replace(
            before.spec,
            bgp=NodeBgp(
                as_number=64512,
                ipv4_address="192.168.0.1/24",
                ipv6_address="fd00::1/64",
                ipv4_ipip_tunnel_addr="10.1.0.1",
                route_reflector_cluster_id="1.0.0.1",
            ),
            ipv4_vxlan_tunnel_addr="10.1.0.2",
            vxlan_tunnel_mac_addr="66:00:00:00:00:01",
            wireguard=NodeWireguard(interface_ipv4_address="10.1.0.3"),
            interfaces=(NodeInterface(name="eth0", addresses=("192.168.0.1/24",)),),
        ),
        status=NodeStatus(
            wireguard_public_key="jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY=",
            pod_cidrs=("10.9.0.0/24",),
        ),
    )
    form = NodeForm(False)
    write = form.changed(json.dumps(MACHINE).encode(), wanted, "7")
    assert write is not None
    body = json.loads(write.body)
    assert body["metadata"]["resourceVersion"] == "7"
    assert body["metadata"]["uid"] == UID
    assert set(body) == {"metadata"}
    assert set(body["metadata"]) == {"annotations", "resourceVersion", "uid"}
    machine = _patched(MACHINE, write.body)
    found = _node(machine)
    addresses = found.spec.addresses
    assert msgspec.structs.replace(found.spec, addresses=()) == msgspec.structs.replace(
        wanted.spec, addresses=()
    )
    assert [each.address for each in addresses] == ["192.168.0.1/24", "fd00::1/64", "192.168.0.1"]
    assert found.status == wanted.status
    assert found.metadata.labels == wanted.metadata.labels
    assert found.metadata.annotations == wanted.metadata.annotations
    assert form.changed(json.dumps(machine).encode(), found, "7") is None
    empty = msgspec.structs.replace(found, spec=NodeSpec(), status=None)
    write = form.changed(json.dumps(machine).encode(), empty, "7")
    assert write is not None
    left = _patched(machine, write.body)["metadata"]["annotations"]
    assert [name for name in left if "projectcalico.org/" in name] == [
        "projectcalico.org/labels",
        "projectcalico.org/annotations",
    ]


def test_the_machines_own_labels_win_and_are_never_written() -> None:
    given = {"projectcalico.org/labels": '{"kubernetes.io/os":"bsd","rack":"r1"}'}
    machine = json.loads(json.dumps(MACHINE))
    machine["metadata"]["annotations"] |= given
    found = _node(machine)
    assert found.metadata.labels == {"kubernetes.io/os": "linux", "rack": "r1"}
    assert found.spec.orch_refs == (OrchRef(node_name="n1", orchestrator="k8s"),)


def test_annotations_that_say_nothing_sensible_count_as_absent() -> None:
    machine = json.loads(json.dumps(MACHINE))
    for name in ("IPv4Address", "ASNumber", "Interfaces", "labels", "VXLANTunnelMACAddr"):
        machine["metadata"]["annotations"][f"projectcalico.org/{name}"] = "{nonsense"
    assert msgspec.structs.replace(_node(machine), metadata=ObjectMeta()) == (
        msgspec.structs.replace(_node(MACHINE), metadata=ObjectMeta())
    )


def test_with_host_local_the_tunnel_address_is_the_first_of_the_pods() -> None:
    found = _node(MACHINE, pod_cidr=True)
    assert found.spec.bgp == NodeBgp(ipv4_ipip_tunnel_addr="10.9.0.1")


# Core objects

POD: dict[str, Any] = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": UID,
        "resourceVersion": "7",
        "annotations": {"other": "1"},
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "c"}], "futureField": {"a": 1}},
    "status": {"phase": "Running", "podIP": "10.0.0.5", "podIPs": [{"ip": "10.0.0.5"}]},
}


def _pod(body: dict[str, Any] = POD) -> Pod:
    found = object_of(json.dumps(body).encode(), PODS)
    assert isinstance(found, Pod)
    return found


def test_of_a_pod_only_calicos_annotations_are_sent() -> None:
    pod = _pod()
    own = {"cni.projectcalico.org/podIP": "10.0.0.5/32"}
    wanted = with_metadata(pod, annotations={**pod.metadata.annotations, **own})
    write = PODS.form.changed(json.dumps(POD).encode(), wanted, "7")
    assert write is not None
    assert (write.method, write.content_type) == ("PATCH", "application/merge-patch+json")
    assert json.loads(write.body) == {
        "metadata": {"annotations": own, "resourceVersion": "7", "uid": UID}
    }
    assert PODS.part == "/status"
    assert PODS.form.changed(json.dumps(POD).encode(), pod, "7") is None


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"app": "x"}},
        {"annotations": {"other": "2"}},
        {"finalizers": ["x"]},
    ],
)
def test_what_is_not_ours_to_write_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="only annotations of"):
        PODS.form.changed(json.dumps(POD).encode(), with_metadata(_pod(), **change), "7")


def test_nobodys_bookkeeping_is_kept() -> None:
    body = json.loads(json.dumps(POD))
    body["metadata"]["managedFields"] = [{"manager": "kubelet", "fieldsV1": {"f:a": {}}}]
    assert _pod(body) == _pod()
    (found,) = page_of(json.dumps({"items": [body]}).encode(), PODS).resources
    assert found.metadata.managed_fields is None


# What follows from others

parts = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


@given(parts, parts)
def test_the_pod_of_an_endpoint_is_found_by_its_name(node: str, pod: str) -> None:
    key = Key("WorkloadEndpoint", "shop", wep_name(node, "k8s", pod, "eth0"))
    assert source_key(key) == Key("Pod", "shop", pod)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("kns.shop", Key("Namespace", "", "shop")),
        ("ksa.shop.web.v1", Key("ServiceAccount", "shop", "web.v1")),
    ],
)
def test_the_source_of_a_profile_is_found_by_its_name(name: str, source: Key) -> None:
    assert source_key(Key("Profile", "", name)) == source


@pytest.mark.parametrize(
    "key",
    [
        Key("Profile", "", "mine"),
        Key("Profile", "", "ksa.shop"),
        Key("WorkloadEndpoint", "shop", "web"),
        Key("WorkloadEndpoint", "", "n1-k8s-web-eth0"),
    ],
)
def test_a_name_that_follows_from_nothing_is_of_nothing(key: Key) -> None:
    with pytest.raises(NotFound):
        source_key(key)


def test_a_pod_that_loses_its_endpoint_is_a_deleted_endpoint() -> None:
    place = place_of("WorkloadEndpoint", CRD_V1, False)
    key = Key("WorkloadEndpoint", "shop", "n1-k8s-web-eth0")
    (put,) = events_of(_line("ADDED", POD), place)
    assert isinstance(put, Put)
    assert put.key == key
    assert events_of(_line("MODIFIED", {**POD, "status": {}}), place) == (Deleted(key, 7),)
    assert events_of(_line("DELETED", POD), place) == (Deleted(key, 7),)
    hosted = {**POD, "spec": {**POD["spec"], "hostNetwork": True}}
    assert events_of(_line("ADDED", hosted), place) == (Bookmark(7),)


def _several(*attached: str, gone: str = "") -> dict[str, Any]:
    """The Pod with these further interfaces, and one that has gone."""
    pod = _pod()
    for number, name in enumerate(attached):
        one = Further(container_id="c1", network="storage", addresses=(f"10.1.0.{number}/32",))
        pod = with_further(pod, name, one)
    if gone:
        pod = with_further(with_further(pod, gone, Further(container_id="c1")), gone, None)
    return msgspec.to_builtins(pod)


def _endpoint(ifname: str) -> Key:
    return Key("WorkloadEndpoint", "shop", f"n1-k8s-web-{ifname}")


def test_each_interface_of_a_pod_is_an_endpoint_listed_read_and_watched() -> None:
    place = place_of("WorkloadEndpoint", CRD_V1, False)
    body = json.dumps(_several("net1", "net2")).encode()
    keys = [_endpoint(ifname) for ifname in ("eth0", "net1", "net2")]
    assert [one.key for one in page_of(b'{"items": [' + body + b"]}", place).resources] == keys
    found = object_of(body, place, keys[1])
    assert isinstance(found, WorkloadEndpoint)
    assert found.spec.ip_networks == ("10.1.0.0/32",)
    assert object_of(body, place, _endpoint("net3")) is None
    assert source_key(keys[2]) == Key("Pod", "shop", "web")
    events = events_of(_line("MODIFIED", _several("net1", "net2")), place)
    assert [(type(one), getattr(one, "key", None)) for one in events] == [
        (Put, key) for key in keys
    ]


def test_an_interface_that_goes_is_a_deleted_endpoint_and_the_end_of_a_pod_is_all_of_them() -> None:
    place = place_of("WorkloadEndpoint", CRD_V1, False)
    put, other, gone = events_of(_line("MODIFIED", _several("net2", gone="net1")), place)
    assert isinstance(put, Put)
    assert isinstance(other, Put)
    assert (put.key, other.key) == (_endpoint("eth0"), _endpoint("net2"))
    assert gone == Deleted(_endpoint("net1"), 7)
    ended = events_of(_line("DELETED", _several("net2", gone="net1")), place)
    assert ended == tuple(Deleted(_endpoint(one), 7) for one in ("eth0", "net1", "net2"))


def test_of_a_pods_status_only_the_condition_of_its_interfaces_is_sent() -> None:
    kubelets = {"type": "Ready", "status": "True", "lastProbeTime": None}
    body = {**POD, "status": {**POD["status"], "conditions": [kubelets]}}
    stored, pod = json.dumps(body).encode(), _pod(body)
    wanted = with_further(pod, "net1", Further(container_id="c1"))
    write = PODS.form.changed(stored, wanted, "7")
    assert write is not None
    assert write.content_type == "application/strategic-merge-patch+json"
    sent = json.loads(write.body)
    assert sent["metadata"] == {"annotations": {}, "resourceVersion": "7", "uid": UID}
    (condition,) = sent["status"]["conditions"]
    assert condition["type"] == "cni.projectcalico.org/FurtherInterfaces"
    assert json.loads(condition["message"]) == {"net1": {"containerID": "c1"}}
    told = {**condition, "lastProbeTime": None, "lastTransitionTime": None}
    body["status"]["conditions"].append(told)
    assert PODS.form.changed(json.dumps(body).encode(), wanted, "7") is None
    removed = PODS.form.changed(json.dumps(body).encode(), pod, "7")
    assert removed is not None
    assert json.loads(removed.body)["status"]["conditions"] == [
        {"$patch": "delete", "type": "cni.projectcalico.org/FurtherInterfaces"}
    ]


def test_the_rest_of_a_pods_status_is_not_ours_to_write() -> None:
    pod = _pod()
    assert pod.status is not None
    status = replace(pod.status, conditions=[{"type": "Ready", "status": "False"}])
    with pytest.raises(Invalid, match="only annotations of"):
        PODS.form.changed(json.dumps(POD).encode(), replace(pod, status=status), "7")


def test_a_further_endpoint_is_its_nodes_to_tell_of() -> None:
    place = place_of("WorkloadEndpoint", CRD_V1, False)
    body = json.dumps(_several("net1")).encode()
    found = object_of(body, place, _endpoint("net1"))
    assert isinstance(found, WorkloadEndpoint)
    with pytest.raises(Invalid, match="its node alone tells of it"):
        place.form.changed(body, found, "7")


# Lists and watches


def _line(type_: str, body: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": body}).encode()


def _set(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "uid": UID, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": spec}


def test_what_cannot_be_read_hides_nothing_of_its_page() -> None:
    items = [_set("a"), _set("b", nets=7), _set("c", nets=None)]
    page = page_of(json.dumps({"items": items}).encode(), SETS)
    assert [found.metadata.name for found in page.resources] == ["a", "c"]
    (bad,) = page.malformed
    assert (bad.key, bad.revision) == (Key("NetworkSet", "n", "b"), 7)
    assert "nets" in bad.reason


def test_metadata_that_cannot_be_read_is_malformed_too() -> None:
    body = _set("a")
    body["metadata"]["annotations"] = {METADATA: "[]"}
    page = page_of(json.dumps({"items": [body, _set("b")]}).encode(), SETS)
    assert [bad.key.name for bad in page.malformed] == ["a"]
    assert [found.metadata.name for found in page.resources] == ["b"]


def test_an_empty_list_may_be_null() -> None:
    assert page_of(b'{"items": null}', SETS).resources == []
    assert head_of(b'{"metadata": {"resourceVersion": "12"}, "items": null}', SETS).revision == 12


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b'{"metadata": 7}',
        b"{}",
        b'{"status": "ok"}',
        b'{"kind": "Status", "metadata": {}, "status": "Success"}',
        b'{"metadata": {}, "items": []}',
        b'{"metadata": {"resourceVersion": "0"}, "items": []}',
        b'{"metadata": {"resourceVersion": "12"}}',
    ],
)
def test_what_is_no_list_is_never_an_empty_one(body: bytes) -> None:
    with pytest.raises(Unavailable, match="is no API"):
        head_of(body, SETS)


def test_an_item_without_a_name_is_no_list() -> None:
    with pytest.raises(Unavailable, match="is no API"):
        page_of(b'{"metadata": {"resourceVersion": "12"}, "items": [null]}', SETS)


def test_events_are_told_by_their_type() -> None:
    key = Key("NetworkSet", "n", "a")
    assert list(map(type, events_of(_line("ADDED", _set("a")), SETS))) == [Put]
    assert list(map(type, events_of(_line("MODIFIED", _set("a", nets=7)), SETS))) == [Malformed]
    assert events_of(_line("DELETED", _set("a", nets=7)), SETS) == (Deleted(key, 7),)
    mark = {"kind": "NetworkSet", "metadata": {"resourceVersion": "9"}}
    assert events_of(_line("BOOKMARK", mark), SETS) == (Bookmark(9),)
    assert events_of(_line("NEWER", _set("a")), SETS) == ()


@pytest.mark.parametrize(
    "line",
    [
        b"<html>",
        b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "x"}}}',
        b'{"type": "DELETED", "object": {"metadata": {"name": 7}}}',
        b'{"type": "ERROR", "object": 7}',
        b"\xff",
    ],
)
def test_what_is_no_event_ends_the_watch_by_the_contract(line: bytes) -> None:
    with pytest.raises(Unavailable, match="the watch of networksets"):
        events_of(line, SETS)


@pytest.mark.parametrize(("code", "error"), [(410, Gone), (500, Unavailable), (429, Unavailable)])
def test_an_error_ends_the_watch(code: int, error: type[Exception]) -> None:
    status = {"kind": "Status", "code": code, "message": "too old\nresource version"}
    with pytest.raises(error, match="too old resource version"):
        events_of(_line("ERROR", status), SETS)


# Paths


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (Key("Pod", "shop", "web"), "/api/v1/namespaces/shop/pods/web"),
        (Key("KubernetesNode", "", "n1"), "/api/v1/nodes/n1"),
        (Key("Node", "", "n1"), "/api/v1/nodes/n1"),
        (Key("Tier", "", "a b"), "/apis/crd.projectcalico.org/v1/tiers/a%20b"),
        (
            Key("KubernetesNetworkPolicy", "n", "../../x"),
            "/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/..%2F..%2Fx",
        ),
    ],
)
def test_names_never_leave_their_place_in_a_path(key: Key, path: str) -> None:
    assert place_of(key.kind, CRD_V1, False).path(key) == path


@pytest.mark.parametrize(
    "key",
    [
        Key("Tier", "", ""),
        Key("Tier", "", ".."),
        Key("Tier", "n", "a"),
        Key("NetworkSet", "", "a"),
        Key("NetworkSet", "..", "a"),
    ],
)
def test_keys_that_no_object_can_have_are_refused(key: Key) -> None:
    with pytest.raises(Exception, match=r"name|namespace"):
        place_of(key.kind, CRD_V1, False).path(key)


def test_every_kind_has_a_place_in_both_groups() -> None:
    from tortie.api import KINDS

    for group in (CRD_V1, CRD_V3):
        for kind in sorted(set(KINDS) - {"Profile"}):
            place = place_of(kind, group, False)
            assert isinstance(place, Place)
            assert issubclass(place.form.wire, Resource)
