"""A server and its clients over real sockets."""

import asyncio

from fanout.serving import caught_up, following, nets, serving
from tortie.datastore.memory import MemoryDatastore


def test_a_client_gets_what_is_there_and_then_what_changes():
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a", "10.0.0.0/8"))
        async with serving(store) as (_, port), following(port) as client:
            await caught_up(client, store)
            assert {key.name for key in client.values} == {"a"}
            made = await store.create(nets("b"))
            await store.delete(nets("a").key)
            await caught_up(client, store)
            assert client.values == {made.key: made}
            assert client.in_syncs == 1

    asyncio.run(go())
