"""Values are as Calico writes and reads them."""

import asyncio
import json

import pytest

from servers.etcd import EtcdServer
from strategies.datastore import changes_until
from strategies.etcd_backend import Raw
from tortie.api import (
    IPAMBlock,
    IPAMConfiguration,
    IPAMHandle,
    Key,
    Node,
    Resource,
    with_metadata,
)
from tortie.api.codec import decode
from tortie.datastore.etcd import EtcdDatastore
from tortie.datastore.etcd.models import from_model, to_model
from tortie.ipam import IPAM, AssignRequest

# By hand, as Calico's libcalico-go writes them (compact, Go's field order).
BLOCK = (
    b'{"cidr":"10.0.0.0/30","affinity":"host:n1","allocations":[0,null,1,null],'
    b'"unallocated":[1,3],"attributes":[{"handle_id":"k8s-pod-network.abc","secondary":'
    b'{"namespace":"shop","node":"n1","pod":"web-1"}},{"handle_id":"ipip-tunnel-addr-n1",'
    b'"secondary":{"node":"n1","type":"ipipTunnelAddress"}}],"sequenceNumber":7,'
    b'"sequenceNumberForAllocation":{"0":3,"2":6},"deleted":false}'
)
CALICO = {
    "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30": BLOCK,
    "/calico/ipam/v2/host/n1/ipv4/block/10.0.0.0-30": b'{"state":"confirmed","deleted":false}',
    "/calico/ipam/v2/handle/k8s-pod-network.abc": b'{"block":{"10.0.0.0/30":1},"deleted":false}',
    "/calico/ipam/v2/config": b'{"auto_allocate_blocks":true,"maxBlocksPerHost":4}',
    "/calico/resources/v3/projectcalico.org/nodes/n1": (
        b'{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"n1","uid":"a-b",'
        b'"creationTimestamp":"2020-02-02T02:02:02Z","labels":{"rack":"1"}},"spec":'
        b'{"bgp":{"ipv4Address":"192.168.0.1/24"}},"status":{}}'
    ),
}
KEYS = {
    "block": Key("IPAMBlock", "", "10-0-0-0-30"),
    "claim": Key("BlockAffinity", "", "n1-10-0-0-0-30"),
    "handle": Key("IPAMHandle", "", "k8s-pod-network.abc"),
    "config": Key("IPAMConfiguration", "", "default"),
    "node": Key("Node", "", "n1"),
}


def read(path: str, key: Key) -> Resource:
    return decode(key.kind, from_model(path.encode(), key, CALICO[path]))


@pytest.mark.parametrize(("path", "key"), [*zip(CALICO, KEYS.values(), strict=True)], ids=KEYS)
def test_what_calico_wrote_is_written_back_with_the_same_meaning(path: str, key: Key) -> None:
    stored = from_model(path.encode(), key, CALICO[path])
    again = to_model(key, stored)
    wanted = json.loads(CALICO[path])
    found = json.loads(again)
    found.pop("strictAffinity", None)  # of the resource; Calico takes no notice in the block
    found = {name: value for name, value in found.items() if name in wanted or value}
    assert found == wanted


def test_a_block_is_read_whole() -> None:
    block = read("/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30", KEYS["block"])
    assert isinstance(block, IPAMBlock)
    assert block.key == KEYS["block"]
    assert block.spec.allocations == (0, None, 1, None)
    assert block.spec.unallocated == (1, 3)
    assert block.spec.attributes[0].handle_id == "k8s-pod-network.abc"
    assert block.spec.attributes[1].secondary["type"] == "ipipTunnelAddress"
    assert block.spec.sequence_number_for_allocation == {"0": 3, "2": 6}


def test_when_a_block_was_claimed_and_a_second_owner_have_the_models_own_names() -> None:
    model = json.loads(BLOCK) | {"affinity_claim_time": "2026-11-21T13:31:00Z"}
    model["attributes"][0]["alternate"] = {"pod": "web-2"}
    stored = from_model(b"/calico/ipam/v2/x", KEYS["block"], json.dumps(model).encode())
    block = decode("IPAMBlock", stored)
    assert isinstance(block, IPAMBlock)
    assert block.spec.affinity_claim_time == "2026-11-21T13:31:00Z"
    assert block.spec.attributes[0].alternate_owner_attrs == {"pod": "web-2"}
    again = json.loads(to_model(KEYS["block"], stored))
    again.pop("strictAffinity")
    assert again == model


@pytest.mark.parametrize("holders", [None, {}, "x", [1, None, {"alternate": 1}]])
def test_holders_that_are_none_are_passed_on_for_validation_to_say_so(holders: object) -> None:
    model = json.dumps(json.loads(BLOCK) | {"attributes": holders}).encode()
    found = json.loads(from_model(b"/calico/ipam/v2/x", KEYS["block"], model))["spec"]
    assert isinstance(found["attributes"], type(holders))


def test_a_block_of_an_old_calico_names_its_node_in_another_field() -> None:
    model = json.loads(BLOCK) | {"affinity": None, "hostAffinity": "n1"}
    path = b"/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30"
    found = decode("IPAMBlock", from_model(path, KEYS["block"], json.dumps(model).encode()))
    assert isinstance(found, IPAMBlock)
    assert found.spec.affinity == "host:n1"


def test_a_claim_of_before_there_were_states_is_read() -> None:
    path = b"/calico/ipam/v2/virtual/lb/ipv4/block/10.0.0.0-30"
    key = Key("BlockAffinity", "", "lb-10-0-0-0-30")
    found = json.loads(from_model(path, key, b""))
    assert found["spec"] == {"state": "", "node": "lb", "type": "virtual", "cidr": "10.0.0.0/30"}


def test_what_go_leaves_out_of_the_configuration_is_false() -> None:
    found = decode(
        "IPAMConfiguration", from_model(b"/calico/ipam/v2/config", KEYS["config"], b"{}")
    )
    assert isinstance(found, IPAMConfiguration)
    assert not found.spec.auto_allocate_blocks
    assert not found.spec.strict_affinity


def test_a_handle_keeps_its_spelling_and_labels_stay_with_it() -> None:
    key = Key("IPAMHandle", "", "net.abc")
    resource = {
        "metadata": {"name": "net.abc", "uid": "u", "labels": {"a": "b"}},
        "spec": {"handleID": "net.ABC", "block": {"10.0.0.0/30": 1}},
    }
    stored = to_model(key, json.dumps(resource).encode())
    assert "uid" not in stored.decode()
    found = decode("IPAMHandle", from_model(b"/calico/ipam/v2/handle/net.abc", key, stored))
    assert isinstance(found, IPAMHandle)
    assert found.spec.handle_id == "net.ABC"
    assert found.metadata.labels == {"a": "b"}


@pytest.mark.parametrize("stored", [b"no JSON", b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_a_value_that_is_none_is_malformed_and_stands_apart(
    etcd: EtcdServer, stored: bytes
) -> None:
    async def body() -> None:
        raw = Raw(etcd.endpoint)
        raw.put(b"/calico/ipam/v2/handle/a", stored)
        raw.put(b"/calico/ipam/v2/handle/b", b'{"block":{},"metadata":7}')
        raw.put(b"/calico/ipam/v2/handle/c", b'{"block":{}}')
        raw.close()
        store = await EtcdDatastore.open(etcd.client)
        listing = await store.list("IPAMHandle")
        assert [bad.key.name for bad in listing.malformed] == ["a", "b"]
        assert [good.metadata.name for good in listing.resources] == ["c"]
        await store.close()

    asyncio.run(body())


def test_keys_that_are_nobodys_hide_nothing(etcd: EtcdServer) -> None:
    foreign = [
        b"/calico/ipam/v2/host/n1",
        b"/calico/ipam/v2/host/n1/ipv4/block/nonsense",
        b"/calico/ipam/v2/assignment/nonsense",
        b"/calico/resources/v3/projectcalico.org/pods/\xff/\xfe",
        b"/calico/resources/v3/projectcalico.org/pods/a/b/c",
        b"/calico/resources/v3/projectcalico.org/pods",
        b"/calico/resources/v3/projectcalico.org/unheardof/a",
    ]
    kinds = ["Pod", "BlockAffinity", "IPAMBlock"]

    async def body() -> None:
        store = await EtcdDatastore.open(etcd.client)
        since = await store.revision()
        raw = Raw(etcd.endpoint)
        for path in foreign:
            raw.put(path, b"nonsense")
        raw.put(b"/calico/resources/v3/projectcalico.org/pods/a/b", b'{"metadata":{}}')
        raw.put(b"/calico/ipam/v2/host/n1/ipv4/block/10.0.0.0-30", b'{"state":"confirmed"}')
        raw.close()
        claims = await store.list("BlockAffinity")
        assert [found.metadata.name for found in claims.resources] == ["n1-10-0-0-0-30"]
        events = await changes_until(store, kinds, since, await store.revision())
        assert events[-1].key == Key("BlockAffinity", "", "n1-10-0-0-0-30")
        for kind in kinds:
            for bad in (await store.list(kind)).malformed:
                await store.delete(bad.key)
            assert (await store.list(kind)).malformed == ()
        await store.close()

    asyncio.run(body())


def test_existing_data_are_read_and_written_in_place(etcd: EtcdServer) -> None:
    """An address is given out of a block that Calico made, and what Calico reads is there."""

    async def body() -> None:
        raw = Raw(etcd.endpoint)
        for path, value in CALICO.items():
            raw.put(path.encode(), value)
        pool = b'{"metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/24","blockSize":30}}'
        raw.put(b"/calico/resources/v3/projectcalico.org/ippools/p", pool)
        store = await EtcdDatastore.open(etcd.client)
        found = await IPAM(store).auto_assign(AssignRequest(node="n1", handle="net.new"))
        assert [str(ip) for ip in found.ips] == ["10.0.0.1/32"]
        block = json.loads(raw.get(b"/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30"))
        assert block["allocations"] == [0, 2, 1, None]
        assert block["attributes"][2]["handle_id"] == "net.new"
        assert block["sequenceNumber"] == 8
        assert "spec" not in block
        assert json.loads(raw.get(b"/calico/ipam/v2/handle/net.new"))["block"] == {"10.0.0.0/30": 1}
        released = await IPAM(store).release_by_handle("k8s-pod-network.abc")
        assert [str(ip) for ip in released] == ["10.0.0.0/32"]
        assert b"/calico/ipam/v2/handle/k8s-pod-network.abc" not in raw.paths()
        raw.close()
        await store.close()

    asyncio.run(body())


def test_uids_of_what_has_none_last_from_creation_to_deletion(etcd: EtcdServer) -> None:
    async def body() -> None:
        store = await EtcdDatastore.open(etcd.client)
        key = KEYS["handle"]
        raw = Raw(etcd.endpoint)
        path = f"/calico/ipam/v2/handle/{key.name}".encode()
        raw.put(path, b'{"block":{"10.0.0.0/30":1}}')
        first = await store.get(key)
        raw.put(path, b'{"block":{"10.0.0.0/30":2}}')  # Calico, which knows of no uid
        assert first.metadata.uid
        assert (await store.get(key)).metadata.uid == first.metadata.uid
        await store.delete(key)
        raw.put(path, b'{"block":{"10.0.0.0/30":1}}')
        assert (await store.get(key)).metadata.uid != first.metadata.uid
        raw.close()
        await store.close()

    asyncio.run(body())


def test_fields_of_a_newer_calico_stay_when_an_object_is_rewritten(etcd: EtcdServer) -> None:
    async def body() -> None:
        raw = Raw(etcd.endpoint)
        node = "/calico/resources/v3/projectcalico.org/nodes/n1"
        newer = json.loads(CALICO[node])
        newer["spec"]["bgp"]["warp"] = 9
        raw.put(node.encode(), json.dumps(newer).encode())
        block = "/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-30"
        raw.put(block.encode(), json.dumps(json.loads(BLOCK) | {"warp": 9}).encode())
        store = await EtcdDatastore.open(etcd.client)
        for key in (KEYS["node"], KEYS["block"]):
            found = await store.get(key)
            labels = {"new": "label"} if isinstance(found, Node) else {}
            await store.update(with_metadata(found, labels=labels))
        assert json.loads(raw.get(node.encode()))["spec"]["bgp"]["warp"] == 9
        assert json.loads(raw.get(node.encode()))["metadata"]["labels"] == {"new": "label"}
        assert json.loads(raw.get(block.encode()))["warp"] == 9
        raw.close()
        await store.close()

    asyncio.run(body())


def test_a_resource_of_calicos_without_times_gets_none_that_go_cannot_read(
    etcd: EtcdServer,
) -> None:
    async def body() -> None:
        raw = Raw(etcd.endpoint)
        path = b"/calico/resources/v3/projectcalico.org/nodes/n1"
        raw.put(path, b'{"metadata":{"name":"n1"},"spec":{}}')
        store = await EtcdDatastore.open(etcd.client)
        found = await store.get(KEYS["node"])
        updated = await store.update(with_metadata(found, labels={"a": "b"}))
        assert updated.metadata.uid == found.metadata.uid
        stored = json.loads(raw.get(path))
        assert stored["metadata"]["uid"] == found.metadata.uid
        assert "creationTimestamp" not in stored["metadata"]
        raw.close()
        await store.close()

    asyncio.run(body())
