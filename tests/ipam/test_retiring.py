"""A pool that is deleted gives back what nodes had claimed of it."""

import asyncio
from typing import cast

import pytest
from msgspec.structs import replace

from strategies.ipam import blocks_in, check_consistent, pool
from tortie.api import BlockAffinity, IPPool, Key, Resource
from tortie.datastore import NotFound
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AssignRequest, NoPool
from tortie.ipam.retiring import retire_pool
from tortie.net import parse_network

GONE, KEPT = pool("gone", "10.0.0.0/24", block_size=28), pool("kept", "10.0.1.0/24", block_size=28)


class _Recording(MemoryDatastore):
    """Remembers what was written, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    async def update(self, resource: Resource) -> Resource:
        disabled = isinstance(resource, IPPool) and resource.spec.disabled
        self.told.append(f"{'disable' if disabled else 'update'} {resource.kind}")
        return await super().update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        self.told.append(f"delete {key.kind}")
        return await super().delete(key, revision)


async def _used() -> _Recording:
    """Two nodes with an address of each pool; one address of `GONE` given back."""
    store = _Recording()
    for each in (GONE, KEPT):
        await store.create(each)
    ipam = IPAM(store)
    for number, node in enumerate(("n1", "n2", "n1", "n2")):
        pools = (("10.0.0.0/24",), ("10.0.1.0/24",))[number // 2]
        await ipam.auto_assign(AssignRequest(node=node, handle=f"h{number}", pools4=pools))
    await ipam.release_by_handle("h0")
    store.told.clear()
    return store


def test_claims_to_the_pool_end_and_addresses_in_use_stay() -> None:
    async def body() -> None:
        store = await _used()
        await retire_pool(store, GONE.key)
        with pytest.raises(NotFound):
            await store.get(GONE.key)
        claims = cast(tuple[BlockAffinity, ...], (await store.list("BlockAffinity")).resources)
        kept = parse_network("10.0.1.0/24")
        assert len(claims) == 2
        assert all(kept.contains(parse_network(claim.spec.cidr)) for claim in claims)
        of_gone = [
            b for b in await blocks_in(store) if not kept.contains(parse_network(b.spec.cidr))
        ]
        assert [block.spec.affinity for block in of_gone] == [None]
        assert len(await IPAM(store).addresses_of("h1")) == 1
        with pytest.raises(NoPool):
            await IPAM(store).auto_assign(
                AssignRequest(node="n1", handle="x", pools4=("10.0.0.0/24",))
            )
        await check_consistent(store)

    asyncio.run(body())


def test_what_another_pool_has_as_well_stays_its_nodes() -> None:
    """As after a split: its nodes go on with their blocks."""

    async def body() -> None:
        store = await _used()
        before = await blocks_in(store)
        await store.create(pool("half", "10.0.0.0/23", block_size=28))
        await retire_pool(store, GONE.key)
        assert await blocks_in(store) == before
        assert len((await store.list("BlockAffinity")).resources) == 4
        await check_consistent(store)

    asyncio.run(body())


def test_the_pool_is_disabled_first_and_deleted_last() -> None:
    async def body() -> None:
        store = await _used()
        await retire_pool(store, GONE.key)
        assert (store.told[0], store.told[-1]) == ("disable IPPool", "delete IPPool")
        assert "delete BlockAffinity" in store.told[1:-1]

    asyncio.run(body())


def test_a_deletion_that_ended_half_way_can_be_done_again() -> None:
    async def body() -> None:
        store = await _used()
        stored = await store.get(GONE.key)
        await store.update(replace(stored, spec=replace(GONE.spec, disabled=True)))  # type: ignore[call-arg] # a pool
        await retire_pool(store, GONE.key)
        with pytest.raises(NotFound):
            await retire_pool(store, GONE.key)

    asyncio.run(body())


def test_a_pool_that_cannot_be_read_is_deleted() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.put_raw(GONE.key, b"no JSON")
        await store.create(replace(KEPT, spec=replace(KEPT.spec, cidr="nonsense")))
        for each in (GONE, KEPT):
            await retire_pool(store, each.key)
        listing = await store.list("IPPool")
        assert (listing.resources, listing.malformed) == ((), ())

    asyncio.run(body())
