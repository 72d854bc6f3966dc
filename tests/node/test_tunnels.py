"""The tunnel's address: there exactly while a pool needs it, never published while not held."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tortie.api import IPPool, IPPoolSpec, Key, Node, ObjectMeta
from tortie.api.calico.node import NodeSpec, NodeStatus, NodeWireguard
from tortie.datastore import NotFound
from tortie.datastore.memory import MemoryDatastore
from tortie.engine.nodes import vtep_mac
from tortie.ipam import IPAM, IpamError
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.ipam.retiring import FINALIZER, retire_pool
from tortie.net import parse_network, parse_prefix
from tortie.node.ends import ENDS
from tortie.node.resource import ensure_node
from tortie.node.tunnels import TunnelAddresses

HANDLE = "vxlan-tunnel-addr-n1"
NODE = Key("Node", "", "n1")


def pool(name="pool", cidr="10.77.0.0/24", mode="Always"):
    spec = IPPoolSpec(cidr=cidr, block_size=26, vxlan_mode=mode)
    return IPPool(metadata=ObjectMeta(name=name), spec=spec)


class Watchful(MemoryDatastore):
    """A store that notes each moment in which our Node publishes what nobody holds."""

    def __init__(self):
        super().__init__()
        self.wrong = []

    async def create(self, resource):
        return await self._after(await super().create(resource))

    async def update(self, resource):
        return await self._after(await super().update(resource))

    async def delete(self, key, revision=None):
        return await self._after(await super().delete(key, revision))

    async def _after(self, done):
        try:
            spec = (await self.get(NODE)).spec
        except NotFound:
            return done
        ends = spec.wireguard or NodeWireguard()
        for handle, address in {
            "vxlan-tunnel-addr-n1": spec.ipv4_vxlan_tunnel_addr,
            "vxlan-v6-tunnel-addr-n1": spec.ipv6_vxlan_tunnel_addr,
            "ipip-tunnel-addr-n1": spec.bgp.ipv4_ipip_tunnel_addr if spec.bgp else "",
            "wireguard-tunnel-addr-n1": ends.interface_ipv4_address,
            "wireguard-v6-tunnel-addr-n1": ends.interface_ipv6_address,
        }.items():
            if address and parse_prefix(address) not in await IPAM(self).addresses_of(handle):
                self.wrong.append((handle, address))
        return done


class Cluster:
    """A store with our Node in it, and the service."""

    def __init__(self):
        self.store = Watchful()
        self.ipam = IPAM(self.store)
        self.service = TunnelAddresses(self.store, self.ipam, "n1", lambda: self.changes.append(1))
        self.changes = []

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
            await asyncio.wait_for(test(cluster), 150)
            assert cluster.store.wrong == []  # others would send to what is somebody else's

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


@asynccontextmanager
async def running(cluster):
    task = asyncio.create_task(cluster.service.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@scenario
async def test_it_follows_pools_and_node_as_the_agent_sees_them(cluster):
    await cluster.store.create(pool())
    async with running(cluster):
        await until(lambda: published(cluster))
        made = await cluster.store.create(dual_pool("i", "10.88.0.0/24", ipip_mode="Always"))
        cluster.service.saw([(made.key, made)])
        await until(lambda: cluster.ipam.addresses_of("ipip-tunnel-addr-n1"))
        await cluster.store.delete(NODE)
        node = await ensure_node(cluster.store, "n1", "172.16.1.2/24")
        cluster.service.saw([(node.key, node)])
        await until(lambda: published(cluster))


@scenario
async def test_it_says_when_other_tunnels_are_in_use_and_only_then(cluster):
    await cluster.service.reconcile()
    assert cluster.changes == []
    await cluster.store.create(pool())
    for _ in range(2):
        await cluster.service.reconcile()
        assert cluster.changes == [1]
    await cluster.store.delete(Key("IPPool", "", "pool"))
    await cluster.service.reconcile()
    assert (cluster.changes, cluster.service.in_use) == ([1, 1], frozenset())


@scenario
async def test_an_address_stays_when_a_pool_comes_that_sorts_before_its_own(cluster):
    await cluster.store.create(pool("m", "10.77.0.0/24"))
    await cluster.service.reconcile()
    before = await cluster.published()
    await cluster.store.create(pool("a", "10.66.0.0/24"))
    await cluster.service.reconcile()
    assert await cluster.published() == before


@pytest.mark.parametrize(("uses", "count"), [(("Tunnel",), 1), (("Workload",), 0)])
def test_only_a_pool_for_tunnels_gives_an_address(uses, count):
    @scenario
    async def test(cluster):
        await cluster.store.create(
            dual_pool("p", "10.77.0.0/24", vxlan_mode="Always", allowed_uses=uses)
        )
        with suppress(IpamError):
            await cluster.service.reconcile()
        assert len(await cluster.held()) == count

    test()


@scenario
async def test_whose_address_it_is_stands_in_the_books(cluster):
    await cluster.store.create(pool())
    await cluster.service.reconcile()
    (found,) = audit(await read_records(cluster.store)).allocations
    about = {name: found.attributes[name] for name in ("node", "type")}
    assert about == {"node": "n1", "type": "vxlanTunnelAddress"}
    assert found.leak == ""


@scenario
async def test_a_mac_that_somebody_gave_stays(cluster):
    node = await cluster.store.get(NODE)
    spec = replace(node.spec, vxlan_tunnel_mac_addr="66:01:02:03:04:05")
    await cluster.store.update(replace(node, spec=spec))
    await cluster.store.create(pool())
    await cluster.service.reconcile()
    assert (await cluster.published())[1] == "66:01:02:03:04:05"
    await cluster.store.delete(Key("IPPool", "", "pool"))
    await cluster.service.reconcile()
    assert await cluster.published() == ("", "66:01:02:03:04:05")


@scenario
async def test_a_defect_ends_nothing_and_is_tried_again(cluster):
    await cluster.store.create(pool())
    addresses_of, failed = cluster.ipam.addresses_of, []

    async def broken(handle):
        if not failed:
            failed.append(handle)
            raise KeyError("a defect")
        return await addresses_of(handle)

    cluster.ipam.addresses_of = broken
    with capture_logs() as logs:  # rendered, a traceback takes seconds on a busy machine
        async with running(cluster):
            await until(lambda: published(cluster))
    assert failed
    assert [one["log_level"] for one in logs if "defect" in one["event"]] == ["error"]


@scenario
async def test_a_full_pool_is_tried_again_until_there_is_room(cluster):
    await cluster.store.create(pool(cidr="10.77.0.0/26"))
    for number in range(64):
        await _fill(cluster, number)
    auto_assign, attempts = cluster.ipam.auto_assign, []

    async def counted(request):
        attempts.append(request.handle)
        return await auto_assign(request)

    async def tried():
        return len(attempts) > 2

    cluster.ipam.auto_assign = counted
    with capture_logs() as logs:
        async with running(cluster):
            await until(tried)
            assert (await cluster.published())[0] == ""
            await cluster.ipam.release_by_handle("h7")
            await until(lambda: published(cluster))
    warnings = [one for one in logs if one["log_level"] == "warning"]
    assert len(warnings) == 1  # once, not at each attempt
    assert "10.77.0.0/26" in warnings[0]["reason"]


async def _fill(cluster, number):
    from tortie.ipam import AssignRequest

    await cluster.ipam.auto_assign(AssignRequest(node="n1", handle=f"h{number}"))


async def published(cluster):
    return (await cluster.published())[0]


async def until(condition):
    async with asyncio.timeout(60):
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
async def test_a_node_without_bgp_publishes_an_address_for_ipip_too(cluster):
    node = await cluster.store.get(NODE)
    node = await cluster.store.update(replace(node, spec=replace(node.spec, bgp=None)))
    await cluster.service.reconcile()
    assert await cluster.store.get(NODE) == node  # no empty words where none are needed
    await cluster.store.create(dual_pool("i", "10.88.0.0/24", ipip_mode="Always"))
    await cluster.service.reconcile()
    (held,) = await cluster.ipam.addresses_of("ipip-tunnel-addr-n1")
    found = (await cluster.store.get(NODE)).spec.bgp
    assert parse_prefix(found.ipv4_ipip_tunnel_addr) == held


@scenario
async def test_a_pool_that_is_guarded_does_not_wait_for_the_ends_that_it_asks_for(cluster):
    """Workloads' addresses it waits for, and their tunnel stays until they are gone."""
    guarded = dual_pool("v", "10.77.0.0/26", vxlan_mode="Always")
    guarded = replace(guarded, metadata=replace(guarded.metadata, finalizers=(FINALIZER,)))
    await cluster.store.create(guarded)
    await cluster.service.reconcile()
    await _fill(cluster, 1)
    assert "in use: " in await retire_pool(cluster.store, guarded.key)
    await cluster.service.reconcile()
    assert await published(cluster)
    await cluster.ipam.release_by_handle("h1")
    assert await retire_pool(cluster.store, guarded.key) == ""
    await cluster.store.create(dual_pool("w", "10.78.0.0/26", vxlan_mode="Always"))
    await cluster.service.reconcile()
    assert parse_network("10.78.0.0/26").contains(parse_prefix(await published(cluster)))
    blocks = (await cluster.store.list("IPAMBlock")).resources
    assert [block.spec.cidr for block in blocks] == ["10.78.0.0/26"]  # nothing is left of the other


@scenario
async def test_it_is_of_a_pool_for_this_node_while_there_is_one_with_room(cluster):
    node = await cluster.store.get(NODE)
    labels = {"zone": "b"}
    await cluster.store.update(replace(node, metadata=replace(node.metadata, labels=labels)))
    for name, cidr, selector in (
        ("a", "10.77.0.0/26", "zone == 'a'"),
        ("b", "10.78.0.0/26", "zone == 'b'"),
        ("bad", "10.76.0.0/26", "zone =="),
    ):
        await cluster.store.create(
            dual_pool(name, cidr, vxlan_mode="Always", node_selector=selector)
        )
    await cluster.service.reconcile()
    (held,) = await cluster.held()
    assert parse_network("10.78.0.0/26").contains(held)
    await cluster.store.delete(Key("IPPool", "", "b"))
    await cluster.service.reconcile()
    (held,) = await cluster.held()  # else no node of the other pool would reach workloads here
    assert parse_network("10.77.0.0/26").contains(held)


def test_a_pool_that_can_not_be_read_asks_for_nothing():
    """And keeps no other from asking."""
    pools = [dual_pool("x", "rubbish", vxlan_mode="Always"), dual_pool("v", "10.77.0.0/24")]
    status = NodeStatus(wireguard_public_key="key")
    node = Node(metadata=ObjectMeta(name="n1"), spec=NodeSpec(), status=status)
    asking = {end.name: [pool.metadata.name for pool in end.pools(pools, node)] for end in ENDS}
    assert {name: found for name, found in asking.items() if found} == {"wireguard": ["v"]}


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
    await cluster.store.create(dual_pool("s", "fd00:77::/112"))
    both = NodeStatus(wireguard_public_key="A" * 43 + "=", wireguard_public_key_v6="B" * 43 + "=")
    await cluster.store.update(replace(node, status=both))
    await cluster.service.reconcile()
    node = await cluster.store.get(NODE)
    assert parse_prefix(node.spec.wireguard.interface_ipv4_address) == held
    (held6,) = await cluster.ipam.addresses_of("wireguard-v6-tunnel-addr-n1")
    assert parse_prefix(node.spec.wireguard.interface_ipv6_address) == held6
    await cluster.store.update(replace(node, status=None))
    await cluster.service.reconcile()
    assert (await cluster.store.get(NODE)).spec.wireguard is None
    assert not await cluster.ipam.addresses_of("wireguard-tunnel-addr-n1")
