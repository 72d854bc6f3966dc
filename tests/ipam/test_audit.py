"""What the audit finds, and what it says of it."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from msgspec.structs import replace

from strategies.ipam import ask, configuration, pool
from tortie.api import (
    BlockAffinity,
    IPAMBlock,
    Key,
    Node,
    NodeBgp,
    NodeSpec,
    ObjectMeta,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.kube.service import Service
from tortie.datastore import Datastore
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, FixedRequest
from tortie.ipam.audit import Audit, audit
from tortie.ipam.names import handle_key
from tortie.ipam.records import read_records
from tortie.net import Prefix, parse_network

POOL = pool("p", "10.0.0.0/24", block_size=28)
NIGHT = "2024-01-01T00:00:00Z"
WEB = {"namespace": "shop", "pod": "web", "node": "n1"}


def node(name: str, tunnel: str = "") -> Node:
    return Node(
        metadata=ObjectMeta(name=name), spec=NodeSpec(bgp=NodeBgp(ipv4_ipip_tunnel_addr=tunnel))
    )


def endpoint(name: str, *addresses: str) -> WorkloadEndpoint:
    networks = tuple(f"{address}/32" for address in addresses)
    return WorkloadEndpoint(
        metadata=ObjectMeta(namespace="shop", name=name),
        spec=WorkloadEndpointSpec(node="n1", ip_networks=networks),  # type: ignore[call-arg]
    )


def audited(*steps: Callable[[Datastore, IPAM], object]) -> Audit:
    """What is found after these steps, on a pool and a node n1."""

    async def body() -> Audit:
        store = MemoryDatastore()
        for resource in (POOL, node("n1")):
            await store.create(resource)
        ipam = IPAM(store, lambda: NIGHT)
        for step in steps:
            await step(store, ipam)  # type: ignore[misc]
        return audit(await read_records(store))

    return asyncio.run(body())


def told(found: Audit) -> list[tuple[str, str, str]]:
    return [(one.what, one.subject, one.why) for one in found.findings]


async def web_assigned(_: Datastore, ipam: IPAM) -> None:
    await ipam.assign_fixed(
        FixedRequest(
            address=Prefix.single(4, parse_network("10.0.0.5").address),
            node="n1",
            handle="h1",
            attributes=WEB,
        )
    )


async def web_runs(store: Datastore, _: IPAM) -> None:
    await store.create(endpoint("web", "10.0.0.5"))


def test_what_is_held_and_used_is_well() -> None:
    found = audited(web_assigned, web_runs)
    assert found.findings == ()
    (one,) = found.allocations
    assert [user.name for user in one.users] == ["WorkloadEndpoint shop/web"]
    assert (one.handle, one.borrowed) == ("h1", False)
    assert one.sequence is not None


def test_a_leak_says_who_held_it_since_when_and_why_it_is_one() -> None:
    ((what, subject, why),) = told(audited(web_assigned))
    assert (what, subject) == ("leaked", "10.0.0.5")
    assert why == (f"held by Pod shop/web on n1 since {NIGHT}; no such pod has this address")


def test_a_leak_of_a_gone_node_says_so() -> None:
    async def gone(store: Datastore, _: IPAM) -> None:
        await store.delete(Key("Node", "", "n1"))

    kinds = told(audited(web_assigned, gone))
    assert "the node is gone" in kinds[0][2]
    assert kinds[1] == ("claim", "n1-10-0-0-0-28", "node n1 is gone")


def unread(kind: str, namespace: str, name: str) -> Callable[[Datastore, IPAM], object]:
    async def step(store: Datastore, _: IPAM) -> None:
        assert isinstance(store, MemoryDatastore)
        await store.put_raw(Key(kind, namespace, name), b'{"spec":7}')

    return step


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "leaked"),
    [
        ("Pod", "shop", "web", 0),
        ("Pod", "shop", "other", 1),
        ("Pod", "bank", "web", 1),
        ("WorkloadEndpoint", "shop", "n1-k8s-any-eth0", 0),
        ("WorkloadEndpoint", "bank", "n1-k8s-web-eth0", 1),
        ("Node", "", "n2", 1),
    ],
)
def test_what_can_not_be_read_may_have_the_address(
    kind: str, namespace: str, name: str, leaked: int
) -> None:
    found = audited(web_assigned, unread(kind, namespace, name))
    assert len(found.leaked) == leaked
    assert [one.what for one in found.findings if one.what != "leaked"] == ["unread"]
    assert "does not count as leaked" in found.findings[-1].why


def test_a_node_that_can_not_be_read_is_not_gone_and_has_its_tunnel_address() -> None:
    async def tunnel(_: Datastore, ipam: IPAM) -> None:
        about = {"node": "n1", "type": "vxlanTunnelAddress"}
        await ipam.auto_assign(ask(use="Tunnel", attributes=about))

    found = audited(tunnel, web_assigned, web_runs, unread("Node", "", "n1"))
    assert [one.what for one in found.findings] == ["unread"]


@pytest.mark.parametrize(("name", "leaked"), [("front", 0), ("back", 1)])
def test_a_service_that_can_not_be_read_may_have_its_address(name: str, leaked: int) -> None:
    async def balanced(store: Datastore, ipam: IPAM) -> None:
        about = {"namespace": "shop", "service": "front", "type": "loadBalancer"}
        await ipam.auto_assign(ask(attributes=about))
        await store.create(Service(metadata=ObjectMeta(namespace="shop", name="any"), spec={}))

    found = audited(balanced, unread("Service", "shop", name), unread("Pod", "shop", "front"))
    assert len(found.leaked) == leaked


def test_no_handle_is_empty_while_a_block_can_not_be_read() -> None:
    found = audited(web_assigned, web_runs, unread("IPAMBlock", "", "10-0-0-0-28"))
    assert not found.leaked_handles
    assert "unread" in [one.what for one in found.findings]


def test_a_tunnel_address_is_used_by_its_node() -> None:
    async def tunnel(store: Datastore, ipam: IPAM) -> None:
        request = ask(use="Workload", attributes={"node": "n1", "type": "ipipTunnelAddress"})
        (address,) = (await ipam.auto_assign(request)).ips
        text = str(address).removesuffix("/32")
        found = await store.get(Key("Node", "", "n1"))
        await store.update(replace(found, spec=node("n1", text).spec))

    found = audited(tunnel)
    assert found.findings == ()
    assert found.allocations[0].users[0].name == "Node n1 (IPIP)"


def test_an_address_that_nobody_holds_or_that_two_have_is_found() -> None:
    async def others(store: Datastore, _: IPAM) -> None:
        await store.create(endpoint("other", "10.0.0.5", "10.0.0.9", "192.0.2.1"))

    found = told(audited(web_assigned, web_runs, others))
    assert found == [
        (
            "doubled",
            "10.0.0.5",
            "used by WorkloadEndpoint shop/other and WorkloadEndpoint shop/web",
        ),
        ("unallocated", "10.0.0.9", "used by WorkloadEndpoint shop/other, held by nobody"),
        ("no pool", "192.0.2.1", "used by WorkloadEndpoint shop/other, and of no IPPool"),
    ]


def test_a_handle_that_says_too_much_or_too_little_is_found() -> None:
    async def handles(store: Datastore, ipam: IPAM) -> None:
        before = await store.get(handle_key("h1"))
        await ipam.release_by_handle("h1")
        await store.create(before)
        await ipam.assign_fixed(
            FixedRequest(address=Prefix.single(4, 0x0A000006), node="n1", handle="h2")
        )
        await store.delete(handle_key("h2"))

    found = audited(web_assigned, handles)
    assert [(one.what, one.subject) for one in found.findings[1:]] == [
        ("handle", "h1"),
        ("untold", "h2"),
    ]
    assert found.leaked_handles == ("h1",)


def test_what_cools_down_is_no_leak() -> None:
    async def cooled(store: Datastore, ipam: IPAM) -> None:
        await store.create(configuration(ip_cooldown_seconds=60))
        await ipam.release_by_handle("h1")

    found = audited(web_assigned, cooled)
    assert (found.allocations, found.cooling, found.findings) == ((), 1, ())


@pytest.mark.parametrize("what", ["no pool", "claim", "block", "damaged"])
def test_blocks_and_claims_that_disagree_are_found(what: str) -> None:
    async def spoil(store: Datastore, _: IPAM) -> None:
        (block,) = cast(tuple[IPAMBlock, ...], (await store.list("IPAMBlock")).resources)
        (claim,) = cast(tuple[BlockAffinity, ...], (await store.list("BlockAffinity")).resources)
        match what:
            case "no pool":
                await store.delete(POOL.key)
            case "claim":
                await store.update(replace(block, spec=replace(block.spec, affinity="host:n9")))
            case "block":
                await store.delete(claim.key)
            case _:
                await store.update(replace(block, spec=replace(block.spec, unallocated=(1, 1))))

    assert what in {one.what for one in audited(web_assigned, web_runs, spoil).findings}
