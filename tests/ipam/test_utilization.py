"""How full pools and blocks are."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from strategies.ipam import ask, configuration, pool
from tortie.api import IPReservation, IPReservationSpec, ObjectMeta
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, Exhausted
from tortie.ipam.records import read_records
from tortie.ipam.utilization import PoolUsage, utilization
from tortie.net import Prefix, parse_network

FIRST = parse_network("10.0.0.0").address

nets = st.builds(
    lambda offset, length: Prefix(4, FIRST + offset, length).network,
    st.integers(0, 63),
    st.integers(24, 32),
)


@given(
    held=st.integers(0, 12),
    released=st.integers(0, 12),
    reserved=st.lists(nets, max_size=4),
    cooling=st.sampled_from([0, 60]),
)
def test_what_is_free_is_just_what_can_still_be_had(
    held: int, released: int, reserved: list[Prefix], cooling: int
) -> None:
    usage, more = asyncio.run(_filled(held, released, reserved, cooling))
    assert usage.pool.free == more
    assert usage.pool.in_use == sum(block.in_use for block in usage.blocks)
    assert all(block.free >= 0 for block in usage.blocks)


async def _filled(
    held: int, released: int, reserved: list[Prefix], cooling: int
) -> tuple[PoolUsage, int]:
    """A pool in use, and how many addresses it gives beyond."""
    store = MemoryDatastore()
    await store.create(pool("p", "10.0.0.0/27", block_size=29))
    await store.create(configuration(ip_cooldown_seconds=cooling))
    spec = IPReservationSpec(reserved_cidrs=tuple(map(str, reserved)))
    await store.create(IPReservation(metadata=ObjectMeta(name="r"), spec=spec))
    ipam = IPAM(store, lambda: "2024-01-01T00:00:00Z")
    for handle, count in (("kept", held), ("gone", released)):
        for _ in range(count):
            try:
                await ipam.auto_assign(ask(handle=handle))
            except Exhausted:
                break
    await ipam.release_by_handle("gone")
    (usage,) = utilization(await read_records(store))
    more = 0
    while True:
        try:
            await ipam.auto_assign(ask(handle="more"))
        except Exhausted:
            return usage, more
        more += 1
