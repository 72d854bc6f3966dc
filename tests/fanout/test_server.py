"""A server and its clients over real sockets."""

import asyncio
import gc
import random
import socket
import time
from contextlib import AsyncExitStack

import pytest

from fanout.serving import (
    Raw,
    caught_up,
    following,
    nets,
    serving,
    settings,
    until,
)
from tortie.api import Key
from tortie.datastore import Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.fanout import connection, patience, upstream
from tortie.fanout.discovery import Server
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Complete, Hello, Ping, Refused, Welcome, written
from tortie.fanout.trail import Crumb
from tortie.sync import InSync, Outage, Progress, Update


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


def test_each_stream_has_its_own_objects_and_is_followed_when_first_asked_for():
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        async with serving(store) as (server, port):
            assert list(server.upstreams) == []
            async with following(port, stream="tunnel-ip") as client:
                await caught_up(client, store)
                assert list(server.upstreams) == ["tunnel-ip"]
                assert client.values == {}
            async with following(port) as client:
                await caught_up(client, store)
                assert list(client.values) == [nets("a").key]

    asyncio.run(go())


def test_a_batch_is_encoded_once_whatever_the_number_of_clients(monkeypatch):
    encoded = []

    def counting(records, count):
        encoded.append(count)
        return batch(records, count)

    batch = upstream.batch
    monkeypatch.setattr(upstream, "batch", counting)

    async def go():
        store = MemoryDatastore()
        async with serving(store) as (server, port), AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(following(port)) for _ in range(20)]
            for client in clients:
                await caught_up(client, store)
            for number in range(5):
                await store.create(nets(f"n{number}"))
                for client in clients:
                    await caught_up(client, store)
            assert all(len(client.values) == 5 for client in clients)
            tally = server.tallies["felix"]
            assert tally.snapshots_generated + tally.snapshots_reused == 20
            assert tally.snapshots_generated == 1

    asyncio.run(go())
    assert encoded == [1] * 5


def test_an_object_that_does_not_change_goes_out_once():
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        async with serving(store) as (_, port), following(port) as client:
            await caught_up(client, store)
            await store.create(nets("b"))
            await caught_up(client, store)
            assert [update.key.name for update in client.updates] == ["a", "b"]

    asyncio.run(go())


def test_a_malformed_object_never_goes_out():
    async def go():
        store = MemoryDatastore()
        good = await store.create(nets("good"))
        await store.put_raw(nets("bad").key, b'{"metadata":{"name":"bad"},"spec":{"nets":1}}')
        async with serving(store) as (_, port), following(port) as client:
            await caught_up(client, store)
            assert client.values == {good.key: good}
            await store.put_raw(good.key, b"{")
            await store.create(nets("later"))
            await caught_up(client, store)
            assert client.values[good.key] == good, "the last good value stays"

    asyncio.run(go())


def test_policies_that_can_t_be_read_are_named_to_clients():
    async def go():
        store = MemoryDatastore()
        await store.put_raw(Key("GlobalNetworkPolicy", "", "p"), b"{")
        async with serving(store) as (_, port), following(port) as client:
            await until(client.follower.absent_policies)
            assert "GlobalNetworkPolicy(p)" in client.follower.absent_policies()[0]
            await store.delete(Key("GlobalNetworkPolicy", "", "p"))
            await until(lambda: not client.follower.absent_policies())

    asyncio.run(go())


class Broken:
    """A source that a test feeds, and that can lose its datastore."""

    def __init__(self, admit):
        self.outage = None
        self.batches = asyncio.Queue()
        admit("store")

    def absent_policies(self):
        return []

    async def stream(self):
        while True:
            yield await self.batches.get()


def test_while_its_datastore_is_away_the_server_serves_what_it_has_and_says_so():
    made = []

    def source(admit):
        made.append(Broken(admit))
        return made[0]

    async def go():
        store = MemoryDatastore()
        served = serving(store, sources={"felix": source})
        async with served as (_, port), following(port) as early:
            await until(lambda: early.follower.outage)
            assert "has not seen the whole datastore yet" in early.follower.outage.reason
            value = nets("a")
            made[0].batches.put_nowait([Update(value.key, value), InSync(), Progress(3)])
            await until(lambda: early.follower.in_sync and early.follower.outage is None)
            made[0].outage = Outage(time.monotonic() - 100, "no route to host")
            await until(lambda: early.follower.outage)
            assert "no route to host" in early.follower.outage.reason
            assert time.monotonic() - early.follower.outage.since > 99
            async with following(port) as late:
                await until(lambda: late.follower.outage and late.follower.in_sync)
                assert late.values == early.values == {value.key: value}
                made[0].outage = None
                await until(lambda: not (late.follower.outage or early.follower.outage))

    asyncio.run(go())


def test_a_client_that_comes_from_another_server_waits_until_this_one_knows_as_much():
    made = []

    def source(admit):
        made.append(Broken(admit))
        return made[0]

    async def go():
        async with serving(MemoryDatastore(), sources={"felix": source}) as (server, port):
            upstream = server.upstream("felix")
            made[0].batches.put_nowait([InSync(), Progress(3)])
            await upstream.ready.wait()
            raw = await Raw.connect(port)
            await raw.send(
                written(FrameType.HELLO, Hello(versions=(1,), stream="felix", reached=5))
            )
            await raw.hear(Welcome)
            made[0].batches.put_nowait([Progress(5)])
            assert (await raw.hear(Complete)).revision == 5
            await raw.close()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("hello", "says"),
    [
        (
            Hello(versions=(7, 8), stream="felix"),
            "no common version of the protocol",
        ),
        (Hello(versions=(1,), stream="comets"), "no stream 'comets'; there are: felix, tunnel-ip"),
    ],
)
def test_a_client_that_can_t_be_served_hears_why(hello, says):
    async def go():
        async with serving(MemoryDatastore()) as (_, port):
            raw = await Raw.connect(port)
            await raw.send(written(FrameType.HELLO, hello))
            refused = await raw.hear(Refused)
            assert says in refused.reason
            assert isinstance(refused, Refused)
            assert await raw.ended()

    asyncio.run(go())


def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(monkeypatch):
    monkeypatch.setattr(patience, "MOST_BEHIND", 1 << 20)

    async def go():
        store = MemoryDatastore(history=100_000)
        async with serving(store) as (server, port), following(port) as good:
            await caught_up(good, store)
            lazy = await Raw.connect(port, receive_buffer=4096)
            await lazy.hello()
            await until(lambda: server.streaming["felix"] == 2)
            for number in range(4000):
                await store.create(nets(f"n{number}", *noise(number)))
                if number % 100 == 0:
                    await asyncio.sleep(0.001)
            await caught_up(good, store)
            assert len(good.values) == 4000
            await until(lambda: server.streaming["felix"] == 1, "the lazy one stays")
            await lazy.close()
            trail = server.upstreams["felix"].trail
            await store.create(nets("last"))
            await caught_up(good, store)
            assert trail.head.next is None

    asyncio.run(go())


def noise(number):
    """Networks that don't compress."""
    chance = random.Random(number)
    return [
        f"fd{chance.getrandbits(8):02x}:{chance.getrandbits(16):x}:{chance.getrandbits(16):x}::/48"
        for _ in range(40)
    ]


def test_crumbs_that_all_clients_have_are_freed():
    async def go():
        store = MemoryDatastore()
        async with serving(store) as (server, port), following(port) as client:
            await caught_up(client, store)
            trail = server.upstreams["felix"].trail
            numbers = trail.head.number
            for number in range(50):
                await store.create(nets(f"n{number}"))
                await caught_up(client, store)
            assert trail.head.number >= numbers + 50
            gc.collect()
            alive = [one for one in gc.get_objects() if isinstance(one, Crumb)]
            made = server.upstreams["felix"]._snapshot
            assert made is not None, "a small trail keeps its snapshot"
            assert len(alive) <= trail.head.number - made.result().at.number + 1

    asyncio.run(go())


def test_a_client_that_answers_no_ping_is_dropped():
    async def go():
        quick = settings(ping_interval=0.0, pong_timeout=2.0)
        async with serving(MemoryDatastore(), quick) as (server, port):
            raw = await Raw.connect(port)
            await raw.hello()
            ping = await raw.hear(Ping)
            await raw.send(written(FrameType.PONG, ping))
            assert (await raw.hear(Ping)).number == ping.number + 1
            assert await raw.ended()
            assert server.streaming["felix"] == 0
            assert server.tallies["felix"].ping.count == 1

    asyncio.run(go())


def test_a_pong_that_answers_nothing_ends_the_connection():
    async def go():
        async with serving(MemoryDatastore()) as (_, port):
            raw = await Raw.connect(port)
            await raw.hello()
            await raw.send(written(FrameType.PONG, Ping(99)))
            assert await raw.ended()

    asyncio.run(go())


def test_above_its_share_a_server_sends_clients_away_one_by_one():
    async def go():
        store = MemoryDatastore()
        quick = settings(drop_interval=0.01)
        async with serving(store, quick) as (server, port), serving(store) as (other, second):

            async def find():
                return [Server("127.0.0.1", port), Server("127.0.0.1", second)]

            async with AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(following(find)) for _ in range(6)]
                await until(lambda: server.streaming.get("felix") == 6)
                server.limit = 2
                await until(lambda: server.streaming["felix"] == 2)
                await until(lambda: other.streaming.get("felix") == 4, "they go to the other")
                await store.create(nets("a"))
                for client in clients:
                    await caught_up(client, store)
                    assert len(client.values) == client.in_syncs == 1

    asyncio.run(go())


def test_a_server_that_stops_lets_its_clients_go_one_by_one_and_accepts_nobody():
    async def go():
        store = MemoryDatastore()
        calm = settings(shutdown_timeout=1.0, shutdown_drop_interval=0.05)
        async with serving(store, calm) as (server, port), serving(store) as (_, second):

            async def find():
                return [Server("127.0.0.1", port), Server("127.0.0.1", second)]

            async with AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(following(find)) for _ in range(5)]
                for client in clients:
                    await caught_up(client, store)
                await server.drain()
                await until(lambda: server.active == 0)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port))
                await store.create(nets("a"))
                for client in clients:
                    await caught_up(client, store)

    asyncio.run(go())


def test_many_that_join_at_once_all_get_the_picture(monkeypatch):
    monkeypatch.setattr(connection, "_TURN", 4 << 10)

    async def go():
        store = MemoryDatastore()
        for number in range(300):
            await store.create(nets(f"n{number}", *noise(number)))
        async with serving(store) as (server, port), AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(following(port)) for _ in range(100)]
            for client in clients:
                await caught_up(client, store)
            assert all(len(client.values) == 300 for client in clients)
            assert server.tallies["felix"].snapshots_generated == 1

    asyncio.run(go())


def test_what_a_stream_raises_ends_the_server():
    class Defective(Broken):
        async def stream(self):
            raise ZeroDivisionError("a defect")
            yield

    async def go():
        async with serving(MemoryDatastore(), sources={"felix": Defective}) as (server, _):
            server.upstream("felix")
            await until(lambda: server._failed.done())

    with pytest.raises(ZeroDivisionError):
        asyncio.run(go())


def test_a_store_that_became_another_one_ends_the_server_instead_of_its_clients_policy():
    class Forgetful(MemoryDatastore):
        """It has another identity each time, and can't be watched."""

        lives = 0

        async def identity(self):
            self.lives += 1
            return f"life {self.lives}"

        def watch(self, *_):
            raise Unavailable("away for a moment")

    async def go():
        async with serving(Forgetful()) as (server, _):
            server.upstream("felix")
            await until(lambda: server._failed.done())

    with pytest.raises(upstream.OtherDatastore, match="now life 2, where life 1 was followed"):
        asyncio.run(go())
