"""One pool as several: same settings, same addresses held, refused where it can't be."""

import asyncio

import pytest

from strategies.ipam import ask, pool
from tortie.api import IPPool
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, IpamError
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.ipam.splitting import split, split_pool

POOL = pool("p", "10.0.0.0/24", block_size=26, nat_outgoing=True)


def test_the_parts_cover_the_pool_and_have_its_settings() -> None:
    parts = split(POOL, 4)
    assert [one.spec.cidr for one in parts] == [
        "10.0.0.0/26",
        "10.0.0.64/26",
        "10.0.0.128/26",
        "10.0.0.192/26",
    ]
    assert [one.metadata.name for one in parts][::3] == ["split-p-0", "split-p-3"]
    assert all(one.spec.nat_outgoing for one in parts)


@pytest.mark.parametrize(("count", "reason"), [(0, "2, 4, 8"), (3, "2, 4, 8"), (8, "4 blocks")])
def test_a_pool_is_not_split_into_what_it_does_not_have(count: int, reason: str) -> None:
    with pytest.raises(IpamError, match=reason):
        split(POOL, count)


@pytest.mark.parametrize("first_try", [False, True])
def test_held_addresses_stay_held(first_try: bool) -> None:
    async def body() -> None:
        store = MemoryDatastore()
        stored = await store.create(POOL)
        assert isinstance(stored, IPPool)
        held = (await IPAM(store).auto_assign(ask(count4=5))).ips
        if first_try:  # a try that ended half way
            await store.create(split(POOL, 2)[0])
        await split_pool(store, stored, 2)
        assert await IPAM(store).addresses_of("h1") == held
        found = audit(await read_records(store))
        assert {one.what for one in found.findings} <= {"leaked", "claim"}  # no nodes, no pods
        names = [one.metadata.name for one in (await store.list("IPPool")).resources]
        assert names == ["split-p-0", "split-p-1"]

    asyncio.run(body())


def test_a_foreign_pool_of_the_name_is_left_alone() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        stored = await store.create(POOL)
        assert isinstance(stored, IPPool)
        await store.create(pool("split-p-1", "10.9.0.0/24"))
        with pytest.raises(IpamError, match="split-p-1"):
            await split_pool(store, stored, 2)
        assert (await store.get(POOL.key)).metadata.name == "p"

    asyncio.run(body())
