"""The tunnel's address: there exactly while a pool needs it, never published while not held."""

import asyncio

import pytest
from msgspec.structs import replace

from tortie.api import IPPool, IPPoolSpec, Key, ObjectMeta
from tortie.api.calico.node import NodeStatus
from tortie.datastore.memory import MemoryDatastore
from tortie.engine.nodes import vtep_mac
from tortie.ipam import IPAM, IpamError
from tortie.net import parse_network, parse_prefix
from tortie.node.resource import ensure_node
from tortie.node.tunnels import TunnelAddresses

HANDLE = "vxlan-tunnel-addr-n1"
NODE = Key("Node", "", "n1")


def pool(name="pool", cidr="10.77.0.0/24", mode="Always"):
    spec = IPPoolSpec(cidr=cidr, block_size=26, vxlan_mode=mode)
    return IPPool(metadata=ObjectMeta(name=name), spec=spec)


class Cluster:
    """A store with our Node in it, and the service."""

    def __init__(self):
        self.store = MemoryDatastore()
        self.ipam = IPAM(self.store)
        self.service = TunnelAddresses(self.store, self.ipam, "n1")

    async def published(self):
        spec = (await self.store.get(NODE)).spec
        return spec.ipv4_vxlan_tunnel_addr, spec.vxlan_tunnel_mac_addr

    async def held(self):
        return await self.ipam.addresses_of(HANDLE)


def scenario(test):
    """Run an async test on a cluster of its own."""

    def run():
        async def go():
            cluster = Cluster()
            await ensure_node(cluster.store, "n1", "172.16.1.2/24")
            await asyncio.wait_for(test(cluster), 30)

        asyncio.run(go())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


@scenario
async def test_a_vxlan_pool_gives_the_node_an_address_and_a_mac(cluster):
    await cluster.store.create(pool())
    await cluster.service.reconcile()
    address, mac = await cluster.published()
    (held,) = await cluster.held()
    assert parse_prefix(address) == held
    assert parse_network("10.77.0.0/24").contains(held)
    assert mac.startswith("66:")
    assert cluster.service.in_use


@scenario
async def test_an_address_is_kept_over_restarts_and_nothing_is_written_again(cluster):
    await cluster.store.create(pool())
    await cluster.service.reconcile()
    before, revision = await cluster.published(), await cluster.store.revision()
    await TunnelAddresses(cluster.store, cluster.ipam, "n1").reconcile()
    assert await cluster.published() == before
    assert await cluster.store.revision() == revision


@pytest.mark.parametrize("mode", ["Never", ""])
def test_without_vxlan_there_is_none(mode):
    @scenario
    async def test(cluster):
        await cluster.store.create(pool(mode=mode))
        await cluster.service.reconcile()
        assert await cluster.published() == ("", "")
        assert not await cluster.held()
        assert not cluster.service.in_use

    test()


@scenario
async def test_a_pool_that_can_not_be_read_does_not_count(cluster):
    await cluster.store.create(pool(cidr="10.77.0.0/99"))
    await cluster.service.reconcile()
    assert await cluster.published() == ("", "")


@scenario
async def test_it_goes_with_the_last_pool_that_needs_it(cluster):
    made = await cluster.store.create(pool())
    await cluster.service.reconcile()
    await cluster.store.delete(made.key)
    await cluster.service.reconcile()
    assert await cluster.published() == ("", "")
    assert not await cluster.held()


@scenario
async def test_it_moves_when_its_pool_is_replaced_by_another(cluster):
    made = await cluster.store.create(pool())
    await cluster.service.reconcile()
    await cluster.store.delete(made.key)
    await cluster.store.create(pool("other", "10.88.0.0/24", "CrossSubnet"))
    await cluster.service.reconcile()
    (held,) = await cluster.held()
    assert parse_network("10.88.0.0/24").contains(held)
    assert parse_prefix((await cluster.published())[0]) == held


@scenario
async def test_it_follows_pools_and_node_as_the_agent_sees_them(cluster):
    task = asyncio.create_task(cluster.service.run())
    try:
        made = await cluster.store.create(pool())
        cluster.service.saw([(made.key, made)])
        await until(cluster.held)
        await until(lambda: published(cluster))
        await cluster.store.delete(NODE)
        node = await ensure_node(cluster.store, "n1", "172.16.1.2/24")
        cluster.service.saw([(node.key, node)])
        await until(lambda: published(cluster))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@scenario
async def test_a_full_pool_is_tried_again_until_there_is_room(cluster):
    await cluster.store.create(pool(cidr="10.77.0.0/26"))
    for number in range(64):
        await _fill(cluster, number)
    task = asyncio.create_task(cluster.service.run())
    try:
        await asyncio.sleep(0)
        assert (await cluster.published())[0] == ""
        await cluster.ipam.release_by_handle("h7")
        await until(lambda: published(cluster))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _fill(cluster, number):
    from tortie.ipam import AssignRequest

    await cluster.ipam.auto_assign(AssignRequest(node="n1", handle=f"h{number}"))


async def published(cluster):
    return (await cluster.published())[0]


async def until(condition):
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def dual_pool(name, cidr, **modes):
    block = 26 if "." in cidr else 122
    return IPPool(
        metadata=ObjectMeta(name=name), spec=IPPoolSpec(cidr=cidr, block_size=block, **modes)
    )


@scenario
async def test_each_tunnel_gets_an_address_of_its_own(cluster):
    await cluster.store.create(dual_pool("v", "10.77.0.0/24", vxlan_mode="Always"))
    await cluster.store.create(dual_pool("i", "10.88.0.0/24", ipip_mode="CrossSubnet"))
    await cluster.store.create(dual_pool("s", "fd00:77::/112", vxlan_mode="CrossSubnet"))
    await cluster.service.reconcile()
    spec = (await cluster.store.get(NODE)).spec
    told = {
        "10.77.0.0/24": (spec.ipv4_vxlan_tunnel_addr, HANDLE),
        "10.88.0.0/24": (spec.bgp.ipv4_ipip_tunnel_addr, "ipip-tunnel-addr-n1"),
        "fd00:77::/112": (spec.ipv6_vxlan_tunnel_addr, "vxlan-v6-tunnel-addr-n1"),
    }
    for cidr, (address, handle) in told.items():
        (held,) = await cluster.ipam.addresses_of(handle)
        assert parse_prefix(address) == held
        assert parse_network(cidr).contains(held)
    assert spec.bgp.ipv4_address == "172.16.1.2/24"
    assert spec.vxlan_tunnel_mac_addr_v6 == vtep_mac("n1-v6") != spec.vxlan_tunnel_mac_addr
    assert cluster.service.in_use == {"vxlan", "vxlan-v6", "ipip"}
    for name in ("v", "i", "s"):
        await cluster.store.delete(Key("IPPool", "", name))
    await cluster.service.reconcile()
    spec = (await cluster.store.get(NODE)).spec
    assert (spec.ipv4_vxlan_tunnel_addr, spec.ipv6_vxlan_tunnel_addr) == ("", "")
    assert spec.bgp.ipv4_ipip_tunnel_addr == ""
    assert spec.bgp.ipv4_address == "172.16.1.2/24"


@scenario
async def test_a_full_pool_of_one_tunnel_does_not_stop_another(cluster):
    await cluster.store.create(dual_pool("v", "10.77.0.0/26", vxlan_mode="Always"))
    for number in range(64):
        await _fill(cluster, number)
    await cluster.store.create(dual_pool("s", "fd00:77::/112", vxlan_mode="Always"))
    with pytest.raises(IpamError):
        await cluster.service.reconcile()
    spec = (await cluster.store.get(NODE)).spec
    assert spec.ipv4_vxlan_tunnel_addr == ""
    assert parse_network("fd00:77::/112").contains(parse_prefix(spec.ipv6_vxlan_tunnel_addr))


@scenario
async def test_wireguard_has_an_address_while_the_node_publishes_a_key(cluster):
    await cluster.store.create(dual_pool("p", "10.77.0.0/24"))
    await cluster.service.reconcile()
    node = await cluster.store.get(NODE)
    assert node.spec.wireguard is None
    status = NodeStatus(wireguard_public_key="A" * 43 + "=")
    await cluster.store.update(replace(node, status=status))
    await cluster.service.reconcile()
    node = await cluster.store.get(NODE)
    (held,) = await cluster.ipam.addresses_of("wireguard-tunnel-addr-n1")
    assert parse_prefix(node.spec.wireguard.interface_ipv4_address) == held
    await cluster.store.update(replace(node, status=None))
    await cluster.service.reconcile()
    assert (await cluster.store.get(NODE)).spec.wireguard is None
    assert not await cluster.ipam.addresses_of("wireguard-tunnel-addr-n1")
