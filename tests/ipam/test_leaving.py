"""A Node that is deleted takes along what nobody but it can have."""

import asyncio
from typing import cast

import pytest

from strategies.ipam import check_consistent, pool
from tortie.api import (
    BlockAffinity,
    Key,
    Node,
    NodeSpec,
    ObjectMeta,
    Resource,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.calico.cluster_information import ClusterInformation, ClusterInformationSpec
from tortie.datastore import Conflict, NotFound
from tortie.datastore.cluster import Locked
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AssignRequest
from tortie.ipam.audit import audit
from tortie.ipam.leaving import retire_node
from tortie.ipam.records import read_records


class _Recording(MemoryDatastore):
    """Remembers what was deleted, in order; fails to delete one kind."""

    def __init__(self, failing: str = "") -> None:
        super().__init__()
        self.told: list[Key] = []
        self._failing = failing

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        if key.kind == self._failing:
            raise Conflict("not now")
        found = await super().delete(key, revision)
        self.told.append(key)
        return found


def _endpoint(node: str, address: str) -> WorkloadEndpoint:
    return WorkloadEndpoint(
        metadata=ObjectMeta(name=f"{node}-cni-c1-eth0", namespace="default"),
        spec=WorkloadEndpointSpec(
            node=node,
            orchestrator="cni",
            workload="c1",
            endpoint="eth0",
            container_id="c1",
            interface_name=f"cali{node}",
            ip_networks=(address,),
        ),
    )


async def _cluster(store: MemoryDatastore) -> None:
    """Two nodes, each with a workload and a tunnel; one address of n1's borrowed from n2."""
    await store.create(pool("pool", "10.0.0.0/24", block_size=30))
    ipam = IPAM(store)
    for name in ("n1", "n2"):
        request = AssignRequest(
            node=name, handle=f"tunnel-{name}", attributes={"node": name, "type": "vxlanTunnel"}
        )
        (tunnel,) = (await ipam.auto_assign(request)).ips
        address = str(tunnel).partition("/")[0]
        await store.create(
            Node(metadata=ObjectMeta(name=name), spec=NodeSpec(ipv4_vxlan_tunnel_addr=address))
        )
        request = AssignRequest(
            node=name, handle=f"web-{name}", attributes={"node": name, "container": "c1"}
        )
        (own,) = (await ipam.auto_assign(request)).ips
        await store.create(_endpoint(name, str(own)))


def test_endpoints_go_before_the_node_and_its_addresses_after_it() -> None:
    async def body() -> None:
        store = _Recording()
        await _cluster(store)
        await retire_node(store, Key("Node", "", "n1"))
        assert [key.kind for key in store.told[:2]] == ["WorkloadEndpoint", "Node"]
        ipam = IPAM(store)
        assert await ipam.addresses_of("web-n1") == await ipam.addresses_of("tunnel-n1") == ()
        for handle in ("web-n2", "tunnel-n2"):
            assert len(await ipam.addresses_of(handle)) == 1
        for kind, left in (("WorkloadEndpoint", 1), ("Node", 1), ("IPAMHandle", 2)):
            assert len((await store.list(kind)).resources) == left
        claims = cast(tuple[BlockAffinity, ...], (await store.list("BlockAffinity")).resources)
        assert {claim.spec.node for claim in claims} == {"n2"}
        assert audit(await read_records(store)).findings == ()
        await check_consistent(store)

    asyncio.run(body())


def test_what_a_pod_of_another_node_uses_stays() -> None:
    """Somebody's address under a note of the node, as a machine that moved has it."""

    async def body() -> None:
        store = _Recording()
        await _cluster(store)
        (address,) = await IPAM(store).addresses_of("web-n1")
        await store.create(
            WorkloadEndpoint(
                metadata=ObjectMeta(name="n2-cni-c2-eth0", namespace="default"),
                spec=_endpoint("n2", str(address)).spec,
            )
        )
        await retire_node(store, Key("Node", "", "n1"))
        assert await IPAM(store).addresses_of("web-n1") == (address,)

    asyncio.run(body())


def test_what_looks_leaked_on_another_node_stays() -> None:
    """Its workload may just begin there: nobody has looked twice."""

    async def body() -> None:
        store = _Recording()
        await _cluster(store)
        about = {"node": "n2", "namespace": "default", "pod": "new"}
        await IPAM(store).auto_assign(AssignRequest(node="n2", handle="new", attributes=about))
        await retire_node(store, Key("Node", "", "n1"))
        assert len(await IPAM(store).addresses_of("new")) == 1

    asyncio.run(body())


def test_what_ends_half_way_is_done_again() -> None:
    async def body() -> None:
        store = _Recording(failing="Node")
        await _cluster(store)
        with pytest.raises(Conflict):
            await retire_node(store, Key("Node", "", "n1"))
        assert len(await IPAM(store).addresses_of("web-n1")) == 1
        store._failing = ""
        await retire_node(store, Key("Node", "", "n1"))
        assert await IPAM(store).addresses_of("web-n1") == ()

    asyncio.run(body())


def test_nothing_of_a_node_that_is_not_there_is_touched() -> None:
    async def body() -> None:
        store = _Recording()
        await _cluster(store)
        await super(_Recording, store).delete(Key("Node", "", "n1"))
        with pytest.raises(NotFound):
            await retire_node(store, Key("Node", "", "n1"))
        assert store.told == []

    asyncio.run(body())


def test_a_locked_datastore_keeps_all() -> None:
    async def body() -> None:
        store = _Recording()
        await _cluster(store)
        spec = ClusterInformationSpec(datastore_ready=False)
        await store.create(ClusterInformation(metadata=ObjectMeta(name="default"), spec=spec))
        with pytest.raises(Locked):
            await retire_node(store, Key("Node", "", "n1"))
        assert store.told == []

    asyncio.run(body())
