"""Whatever fails in between, the stream ends equal to the datastore."""

import asyncio

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from strategies.faults import FaultyStore, cluster_objects, faults, network_objects
from sync.following import Follower, Good, compare, stands_for
from tortie.api import Key, Resource
from tortie.datastore import AlreadyExists, NotFound
from tortie.datastore.memory import MemoryDatastore
from tortie.sync import BGP_KINDS, FELIX_KINDS, TUNNEL_KINDS, Backoff, Syncer

steps = st.tuples(
    st.sampled_from(
        ["put", "put", "put", "delete", "damage", "jump", "rest", "rest", "turn", "turn"]
    ),
    st.one_of(cluster_objects(), network_objects()),
)


@pytest.mark.parametrize(
    "kinds", [FELIX_KINDS, BGP_KINDS, TUNNEL_KINDS], ids=["felix", "bgp", "ip"]
)
@settings(max_examples=200, deadline=None)
@given(
    before=st.lists(steps, max_size=8),
    after=st.lists(steps, max_size=25),
    script=faults,
    history=st.sampled_from([1, 3, 1000]),
)
def test_the_stream_ends_equal_to_the_datastore(
    kinds: tuple[str, ...],
    before: list[tuple[str, Resource]],
    after: list[tuple[str, Resource]],
    script: list[str],
    history: int,
) -> None:
    async def body() -> None:
        store, good = MemoryDatastore(history), Good(list)
        await _perform(store, before, good)
        syncer = Syncer(FaultyStore(store, script), kinds, backoff=_hurried())
        follower = Follower(syncer)
        following = follower.start()
        await _perform(store, after, good)
        await follower.until(await store.revision())
        await compare(follower.values, store, kinds, good)
        assert follower.in_syncs == 1
        await store.close()
        await following

    asyncio.run(body())
    event(f"faults: {sum(map(bool, script)) > 0}, history: {history}")


def _hurried() -> Backoff:
    return Backoff(sleep=lambda _: asyncio.sleep(0))


async def _perform(store: MemoryDatastore, script: list[tuple[str, Resource]], good: Good) -> None:
    for what, resource in script:
        try:
            await _do(store, what, resource, good)
        except NotFound:
            continue


async def _do(store: MemoryDatastore, what: str, resource: Resource, good: Good) -> None:
    match what:
        case "put":
            try:
                made = await store.create(resource)
            except AlreadyExists:
                made = await store.update(resource)
            good[made.key] += stands_for(made)
        case "delete":
            await store.delete(resource.key)
        case "damage":
            await store.put_raw(resource.key, b"{")
        case "jump":  # others write to the same store, in kinds that nobody follows
            await store.put_raw(Key("IPAMHandle", "", "other"), b"{")
        case "turn":
            await asyncio.sleep(0)  # lets the follower take one step
        case _:
            await asyncio.sleep(0.0001)  # or several
