"""The Node resource: made and corrected, never trampled on."""

import asyncio

import pytest
from msgspec.structs import replace

from tortie.api import Key
from tortie.datastore.memory import MemoryDatastore
from tortie.node.resource import ensure_node

KEY = Key("Node", "", "n1")


def with_store(work):
    return asyncio.run(work(MemoryDatastore()))


def test_a_node_that_is_not_there_is_made():
    async def work(store):
        made = await ensure_node(store, "n1", "172.16.1.2/24", "fd00::2/64")
        assert await store.get(KEY) == made
        return made

    node = with_store(work)
    assert node.spec.bgp.ipv4_address == "172.16.1.2/24"
    assert node.spec.bgp.ipv6_address == "fd00::2/64"


def test_what_is_not_named_stays():
    async def work(store):
        node = await ensure_node(store, "n1", "172.16.1.2/24")
        spec = replace(
            node.spec,
            ipv4_vxlan_tunnel_addr="10.0.0.1",
            bgp=replace(node.spec.bgp, as_number=65000, ipv6_address="fd00::9/64"),
        )
        await store.update(replace(node, spec=spec))
        return await ensure_node(store, "n1", "172.16.1.3/24")

    node = with_store(work)
    assert node.spec.ipv4_vxlan_tunnel_addr == "10.0.0.1"
    assert node.spec.bgp.as_number == 65000
    assert node.spec.bgp.ipv6_address == "fd00::9/64"
    assert node.spec.bgp.ipv4_address == "172.16.1.3/24"


def test_nothing_is_written_where_nothing_differs():
    async def work(store):
        for _ in range(2):
            node = await ensure_node(store, "n1", "172.16.1.2/24")
        await ensure_node(store, "n1")
        return node, await store.revision()

    node, revision = with_store(work)
    assert int(node.metadata.resource_version) == revision


def test_two_starts_at_once_make_one_node():
    async def work(store):
        both = (ensure_node(store, "n1", "172.16.1.2/24") for _ in range(2))
        return await asyncio.gather(*both)

    first, second = with_store(work)
    assert first == second


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("172.16.1", "not an IP address"),
        ("fd00::1/64", "not an IPv4 address"),
        ("172.16.1.2", "has no subnet: write it as 172.16.1.2/24"),
        ("172.16.1.2/33", "above 32"),
    ],
)
def test_a_wrong_address_is_refused_before_anything_is_written(address, said):
    async def work(store):
        with pytest.raises(ValueError, match=said):
            await ensure_node(store, "n1", address)
        assert await store.revision() == 0

    with_store(work)
