"""Whatever fails in between, every client ends equal to the datastore."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from fanout.serving import Client, caught_up, following, hurried, nets, serving, until
from strategies.faults import FaultyStore, cluster_objects, faults
from tortie.api import Key
from tortie.datastore import AlreadyExists, NotFound, Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.fanout import server
from tortie.fanout.client import FanoutFollower
from tortie.fanout.discovery import Server, at_address
from tortie.fanout.settings import FanoutClientSettings
from tortie.kubernetes import converted_key, wep_name
from tortie.sync import FELIX_KINDS, InSync, Progress, Syncer, Update

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), cluster_objects()),
        st.tuples(st.just("delete"), cluster_objects()),
        st.tuples(st.just("damage"), cluster_objects()),
        st.tuples(st.sampled_from(["cut", "kill", "half"]), st.integers(0, 1)),
        st.tuples(st.just("rest"), st.integers(0, 2)),
    ),
    max_size=25,
)


class Proxy:
    """Between clients and one server: it can cut all connections, or stop in mid-frame."""

    def __init__(self):
        self.target = 0
        self.port = 0
        self._left = -1  # bytes that still go through; -1: all
        self._writers = set()
        self._server = None

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self):
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self):
        self._left = -1
        for writer in self._writers:
            writer.transport.abort()

    def half(self, count):
        """Let so many bytes pass, then cut."""
        self._left = count

    async def _serve(self, reader, writer):
        with suppress(OSError):
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers |= {writer, up_writer}
            await asyncio.gather(self._copy(reader, up_writer), self._copy(up_reader, writer))
        writer.transport.abort()

    async def _copy(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(999):
                if 0 <= self._left < len(data):
                    writer.write(data[: self._left])
                    self.cut()
                    return
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@settings(max_examples=50, deadline=None)
@given(before=st.lists(cluster_objects(), max_size=6), script=steps, troubles=faults)
def test_every_client_ends_equal_to_the_datastore(before, script, troubles):
    async def body():
        store = MemoryDatastore(history=5)
        for resource in before:
            with suppress(AlreadyExists):
                await store.create(resource)
        faulty = FaultyStore(store, troubles)

        def source(admit):
            return Syncer(faulty, FELIX_KINDS, admit=admit, backoff=hurried())

        async with AsyncExitStack() as stack:
            proxies = [Proxy(), Proxy()]
            servers = []
            for proxy in proxies:
                await proxy.start()
                stack.push_async_callback(proxy.close)
                one = await stack.enter_async_context(AsyncExitStack())
                _, proxy.target = await one.enter_async_context(
                    serving(store, sources={"felix": source})
                )
                servers.append(one)

            async def find():
                return [Server("127.0.0.1", proxy.port) for proxy in proxies]

            clients = [await stack.enter_async_context(following(find)) for _ in range(3)]
            for what, which in script:
                if what == "rest":
                    await rest(store, clients[which])
                else:
                    await perform(store, what, which, proxies, servers, source)
            for proxy in proxies:
                proxy.half(-1)
            await settle(store, clients)

    asyncio.run(body())
    event(f"faults: {any(troubles)}, kills: {any(what == 'kill' for what, _ in script)}")


async def perform(store, what, which, proxies, servers, source):
    match what:
        case "put":
            try:
                await store.create(which)
            except AlreadyExists:
                await store.update(which)
        case "delete":
            with suppress(NotFound):
                await store.delete(which.key)
        case "damage":
            await store.put_raw(which.key, b"{")
        case "cut":
            proxies[which].cut()
        case "half":
            proxies[which].half(700)
        case "kill":
            await servers[which].aclose()
            _, proxies[which].target = await servers[which].enter_async_context(
                serving(store, sources={"felix": source})
            )


async def rest(store, client):
    """Let a client come to know all that is there, unless trouble is in the way."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await caught_up(client, store)


async def settle(store, clients):
    """All clients hold what a syncer of the store itself gives out, but for what is damaged."""
    marker = await store.create(nets("marker"))
    for client in clients:
        await until(lambda one=client: marker.key in one.values)
        await caught_up(client, store)
    expected, damaged = await direct(store)
    for client in clients:
        assert {k: v for k, v in client.values.items() if k not in damaged} == expected
        assert client.in_syncs == 1


async def direct(store):
    """What the store stands for, and keys whose value may be one that was good before."""
    values, damaged = {}, set()
    for kind in FELIX_KINDS:
        for found in (await store.list(kind)).malformed:
            damaged |= touched(found.key)
    syncer = Syncer(store, FELIX_KINDS)
    async for batch in syncer.stream():
        for item in batch:
            match item:
                case Update(key, None):
                    values.pop(key, None)
                case Update(key, value):
                    values[key] = value
                case InSync() | Progress():
                    pass
        if syncer.in_sync:
            break
    return {k: v for k, v in values.items() if k not in damaged}, damaged


def touched(key):
    """The keys for which an object of this key may stand."""
    if key.kind != "Pod":
        return {key, converted_key(key) or key}
    return {
        Key("WorkloadEndpoint", key.namespace, wep_name(node, "k8s", key.name, "eth0"))
        for node in ("node-a", "node-b")
    }


def test_who_joins_later_gets_an_older_snapshot_and_what_came_since():
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        async with serving(store) as (running, port), following(port) as first:
            await caught_up(first, store)
            await store.delete(nets("a").key)
            await store.create(nets("b"))
            await caught_up(first, store)
            async with following(port) as late:
                await caught_up(late, store)
                assert late.values == first.values
            assert running.tallies["felix"].snapshots_generated == 1

    asyncio.run(go())


def test_who_comes_again_never_goes_back_in_time():
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        async with serving(store) as (running, port), following(port) as client:
            await caught_up(client, store)
            for number in range(5):
                await store.create(nets(f"n{number}"))
                await store.delete(nets("a" if number == 0 else f"n{number - 1}").key)
                await caught_up(client, store)
                for one in list(running._door.connections):
                    one.close("a test")
                await until(lambda n=number: running.accepted == n + 2)
            await store.create(nets("marker"))
            await caught_up(client, store)
            told = [(update.key.name, update.value is None) for update in client.updates]
            assert sorted(told) == sorted(set(told)), "nothing comes or goes twice"

    asyncio.run(go())


def test_a_client_that_finds_no_server_says_why_and_goes_on_when_there_is_one():
    servers, fails = [], [Unavailable("the API server is away")]

    async def find():
        if fails:
            raise fails[0]
        return list(servers)

    async def go():
        store = MemoryDatastore()
        async with following(find) as client:
            await until(lambda: client.follower.outage)
            since = client.follower.outage.since
            assert "the API server is away" in client.follower.outage.reason
            fails.clear()
            await until(lambda: "no fan-out server that is ready" in client.follower.outage.reason)
            servers.append(Server("127.0.0.1", 1))
            await until(lambda: "127.0.0.1:1: " in client.follower.outage.reason)
            assert client.follower.outage.since == since, "it is one outage"
            async with serving(store) as (_, port):
                servers[:] = [Server("127.0.0.1", port)]
                await caught_up(client, store)
                assert client.follower.outage is None
                fails.append(Unavailable("away again"))
                first = await store.create(nets("a"))
                await caught_up(client, store)
            await until(lambda: client.follower.outage)
            async with serving(store) as (_, port):
                fails.clear()
                servers[:] = [Server("127.0.0.1", port)]
                await until(lambda: client.follower.outage is None)
                later = await store.create(nets("b"))
                await caught_up(client, store)
                assert [update.key for update in client.updates] == [first.key, later.key]

    asyncio.run(go())


def test_the_servers_known_last_are_tried_where_finding_fails():
    fails = []

    async def go():
        store = MemoryDatastore()
        async with serving(store) as (running, port):

            async def find():
                if fails:
                    raise fails[0]
                return [Server("127.0.0.1", port)]

            async with following(find) as client:
                await caught_up(client, store)
                fails.append(Unavailable("away"))
                for one in list(running._door.connections):
                    one.close("a test")
                await until(lambda: running.accepted == 2)
                await until(lambda: client.follower.outage is None)
                await store.create(nets("a"))
                await caught_up(client, store)

    asyncio.run(go())


def test_a_server_of_another_datastore_is_passed_over(monkeypatch):
    monkeypatch.setattr(server, "_CATCH_UP", 0.01)  # its revisions are lower; that is not the point

    async def go():
        store, other = MemoryDatastore(), MemoryDatastore()
        await store.create(nets("a"))
        async with serving(other) as (_, wrong):
            servers = []

            async def find():
                return list(servers)

            async with following(find) as client:
                async with serving(store) as (_, port):
                    servers[:] = [Server("127.0.0.1", port)]
                    await caught_up(client, store)
                    servers[:] = [Server("127.0.0.1", wrong)]
                await until(
                    lambda: (
                        client.follower.outage
                        and "not the datastore followed before" in client.follower.outage.reason
                    )
                )
                assert len(client.values) == 1

    asyncio.run(go())


def test_a_datastore_that_the_consumer_does_not_admit_ends_the_stream_before_anything_is_out():
    class NotOurs(Exception):
        pass

    def admit(identity):
        raise NotOurs(identity)

    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        async with serving(store) as (_, port):
            where = at_address("127.0.0.1", port)
            client = Client(FanoutFollower(FanoutClientSettings(), where, admit=admit))
            with pytest.raises(NotOurs, match=await store.identity()):
                await asyncio.wait_for(client.follow(), 60)
            assert client.updates == []

    asyncio.run(go())
