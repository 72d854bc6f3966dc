"""Whatever a client does costs nothing but its own connection."""

import asyncio
import os
import resource
import socket
import ssl
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import pytest

from fanout.serving import Raw, caught_up, following, nets, serving, settings, until
from servers.pki import Pki
from tortie.datastore.memory import MemoryDatastore
from tortie.fanout import door
from tortie.fanout.certificates import Tls
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import FROM_CLIENT, Hello, written
from tortie.fanout.settings import FanoutClientSettings

HELLO = written(FrameType.HELLO, Hello(versions=(1,), stream="felix"))
MANY = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 2_000)


def server_tls(pki, name="typha-client", uri="", common_name="typha-server", **options):
    pair = pki.issue(common_name, ("spiffe://cluster/typha",), **options)
    return Tls(str(pki.ca_file), str(pair.certificate_file), str(pair.key_file), name, uri)


def client_tls(pki, name="typha-server", uri="", common_name="typha-client", sans=(), **options):
    pair = pki.issue(common_name, sans, **options)
    return Tls(str(pki.ca_file), str(pair.certificate_file), str(pair.key_file), name, uri)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def still_serves(store, client):
    """The good client hears of a change made now."""
    name = f"n{await store.revision()}"
    await store.create(nets(name))
    await caught_up(client, store)
    assert nets(name).key in client.values


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        os.urandom(65536),
        b"\xff\xff\xff\xff\x01" + b"x" * 1000,  # 4 GiB, the most that a length can say
        (10 << 30).to_bytes(8, "big") + b"\x01",  # as another protocol would say 10 GiB
        HELLO[:7],
        HELLO * 2,
        HELLO + b"\x00\x00\x00\x00\x02",
        HELLO + os.urandom(1000),
        (FROM_CLIENT).to_bytes(4, "big") + b"\x01" + b"[" * FROM_CLIENT,
        b"",
    ],
    ids=["http", "noise", "4GiB", "10GiB", "half", "twice", "wrong", "then-noise", "deep", "none"],
)
def test_nonsense_ends_its_own_connection_only(data):
    async def go():
        store = MemoryDatastore()
        quick = settings(handshake_timeout=0.3)
        async with serving(store, quick) as (server, port), following(port) as good:
            await caught_up(good, store)
            raw = await Raw.connect(port)
            await raw.send(data)
            assert await raw.ended()
            await until(lambda: server.active == 1)
            await still_serves(store, good)

    asyncio.run(go())


def test_a_hello_byte_by_byte_is_cut_off_in_time():
    async def go():
        store = MemoryDatastore()
        async with serving(store, settings(handshake_timeout=0.5)) as (server, port):
            raw = await Raw.connect(port)

            async def trickle():
                for number in range(1000):
                    await raw.send(b"\x00\x00\x0f\xff\x01"[number : number + 1] or b"x")
                    await asyncio.sleep(0.05)

            task = asyncio.create_task(trickle())
            await until(lambda: server.active == 1)
            await until(lambda: server.active == 0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await raw.close()

    asyncio.run(go())


def test_a_crowd_of_strangers_keeps_no_client_out_and_costs_no_memory(pki):
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        secured = settings(tls=server_tls(pki), handshake_timeout=60.0)
        client = FanoutClientSettings(tls=client_tls(pki))
        async with serving(store, secured) as (server, port), following(port, client) as good:
            await caught_up(good, store)
            before = resident()
            strangers = []
            for _ in range(MANY):
                sock = socket.socket()
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                strangers.append(sock)
                assert server.active <= door.STRANGERS + 2
            await still_serves(store, good)
            async with following(port, client) as late:
                await caught_up(late, store)
            assert server.active <= door.STRANGERS + 2
            assert resident() - before < 100 << 20
            for sock in strangers:
                sock.close()
            await until(lambda: server.active == 1)
            await still_serves(store, good)

    asyncio.run(go())


@pytest.mark.parametrize("said", [b"", b"x", HELLO, b"\x16\x03\x01\x02\x00\x01"])
def test_who_comes_and_goes_at_once_leaves_nothing_behind(pki, said):
    async def go():
        store = MemoryDatastore()
        secured = settings(tls=server_tls(pki), handshake_timeout=60.0)
        client = FanoutClientSettings(tls=client_tls(pki))
        async with serving(store, secured) as (server, port), following(port, client) as good:
            await caught_up(good, store)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(30):  # which are all gone when the server accepts them
                for _ in range(10):
                    sock = socket.create_connection(("127.0.0.1", port))
                    sock.send(said)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))
                    sock.close()
                await still_serves(store, good)
            await until(lambda: server.active == 1)
            await until(lambda: len(os.listdir("/proc/self/fd")) <= before, "descriptors stay open")

    asyncio.run(go())


def test_above_the_most_connections_who_comes_is_closed_at_once():
    async def go():
        store = MemoryDatastore()
        async with serving(store, settings(most_connections=3)) as (server, port):
            async with AsyncExitStack() as stack:
                good = [await stack.enter_async_context(following(port)) for _ in range(3)]
                for client in good:
                    await caught_up(client, store)
                for _ in range(50):
                    with suppress(ConnectionResetError):
                        assert await (await Raw.connect(port)).ended()
                assert server.active == 3
                for client in good:
                    await still_serves(store, client)
            await until(lambda: server.active == 0)
            async with following(port) as client:
                await caught_up(client, store)

    asyncio.run(go())


def test_clients_that_never_read_hold_no_more_than_what_the_kernel_took():
    async def go():
        store = MemoryDatastore(history=100_000)
        for number in range(2000):
            networks = [f"10.{number % 256}.{i}.0/24" for i in range(99)]
            await store.create(nets(f"n{number}", *networks))
        async with serving(store) as (server, port), following(port) as good:
            await caught_up(good, store)
            before = resident()
            lazy = [await Raw.connect(port, receive_buffer=4096) for _ in range(100)]
            for raw in lazy:
                await raw.hello()
            await until(lambda: server.streaming["felix"] == 101)
            await still_serves(store, good)
            assert resident() - before < 60 << 20
            for raw in lazy:
                await raw.close()
            await until(lambda: server.streaming["felix"] == 1)

    asyncio.run(go())


def test_without_descriptors_the_server_waits_and_goes_on(monkeypatch):
    class Exhausted:
        """A listening socket on a machine that has no more descriptors, for a while."""

        def __init__(self, sock):
            self._sock = sock
            self.refused = 0

        def accept(self):
            if self.refused < 3:
                self.refused += 1
                raise OSError(24, "Too many open files")
            return self._sock.accept()

        def __getattr__(self, name):
            return getattr(self._sock, name)

    made = []
    listen = door._listen

    def exhausted(host, port):
        made.append(Exhausted(listen(host, port)))
        return made[0]

    monkeypatch.setattr(door, "_listen", exhausted)
    monkeypatch.setattr(door, "_PAUSE", 0.01)

    async def go():
        store = MemoryDatastore()
        async with serving(store) as (_, port), following(port) as client:
            await caught_up(client, store)
            assert made[0].refused == 3

    asyncio.run(go())


def test_by_common_name_or_by_uri_both_sides_are_who_they_say(pki):
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        client_uri = "spiffe://cluster/felix"
        for wanted, shown in (
            (server_tls(pki), client_tls(pki)),
            (server_tls(pki, "", client_uri), client_tls(pki, sans=(client_uri,))),
            (
                server_tls(pki, "other", client_uri),
                client_tls(pki, "", "spiffe://cluster/typha", sans=(client_uri,)),
            ),
        ):
            async with (
                serving(store, settings(tls=wanted)) as (_, port),
                following(port, FanoutClientSettings(tls=shown)) as client,
            ):
                await caught_up(client, store)
                assert len(client.values) == 1

    asyncio.run(go())


def test_a_renewed_certificate_is_used_without_a_restart(pki, tmp_path, monkeypatch):
    monkeypatch.setattr(door, "_RENEW", 0.0)

    def put(pair):
        for path, content in ((certificate, pair.certificate), (key, pair.key)):
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").replace(path)

    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    put(pki.issue("typha-server"))
    tls = Tls(str(pki.ca_file), str(certificate), str(key), "typha-client")

    async def go():
        store = MemoryDatastore()
        async with serving(store, settings(tls=tls)) as (_, port):
            key.write_bytes(b"half a key")  # while it is being renewed
            async with following(port, FanoutClientSettings(tls=client_tls(pki))) as client:
                await caught_up(client, store)
                put(pki.issue("typha-anew"))
                fresh = FanoutClientSettings(tls=client_tls(pki, "typha-anew"))
                async with following(port, fresh) as late:
                    await caught_up(late, store)
                await still_serves(store, client)

    asyncio.run(go())


def wrong_clients(pki, other):
    return {
        "another name": client_tls(pki, common_name="stranger"),
        "another authority": _of(other, pki),
        "expired": client_tls(pki, lifetime=-timedelta(hours=1)),
    }


def _of(other, pki):
    pair = other.issue("typha-client")
    return Tls(str(pki.ca_file), str(pair.certificate_file), str(pair.key_file), "typha-server")


WRONG = {"another name": "CN stranger", "another authority": "verify", "expired": "expired"}


@pytest.mark.parametrize("which", WRONG)
def test_a_client_with_the_wrong_certificate_gets_nothing(pki, tmp_path, which):
    async def go():
        store = MemoryDatastore()
        await store.create(nets("a"))
        tls = wrong_clients(pki, Pki(tmp_path, "other"))[which]
        async with serving(store, settings(tls=server_tls(pki))) as (server, port):
            async with following(port, FanoutClientSettings(tls=tls)) as client:
                await until(lambda: client.follower.outage)
                await until(lambda: server._came_to_nothing)
                assert client.values == {}
                assert server.accepted == 0
                assert "\n" not in client.follower.outage.reason
            reasons = " ".join(server._came_to_nothing)
            assert WRONG[which] in reasons

    asyncio.run(go())


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (
            ("someone-else", ""),
            "the certificate has CN typha-server, URI spiffe://cluster/typha,"
            " where CN someone-else is wanted",
        ),
        (("", "spiffe://elsewhere"), "URI spiffe://elsewhere is wanted"),
    ],
)
def test_a_server_with_the_wrong_name_is_told_nothing_and_named(pki, expected, says):
    async def go():
        async with serving(MemoryDatastore(), settings(tls=server_tls(pki))) as (server, port):
            tls = client_tls(pki, *expected)
            async with following(port, FanoutClientSettings(tls=tls)) as client:
                await until(lambda: client.follower.outage)
                assert says in client.follower.outage.reason
                assert not client.follower.in_sync
            await until(lambda: server.active == 0)
            assert server.accepted == 0

    asyncio.run(go())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_without_a_certificate_or_with_old_tls_there_is_no_connection(pki):
    async def go():
        async with serving(MemoryDatastore(), settings(tls=server_tls(pki))) as (server, port):
            bare = ssl.create_default_context(cafile=str(pki.ca_file))
            bare.check_hostname = False
            raw = await Raw.connect(port, ssl=bare, server_hostname="")
            with suppress(ssl.SSLError, ConnectionResetError):
                await raw.send(HELLO)
                assert await raw.reader.read(1) == b""
            plain = await Raw.connect(port)
            await plain.send(HELLO)
            assert await plain.ended()
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname = False
            old.verify_mode = ssl.CERT_NONE
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionResetError, ValueError)):
                await Raw.connect(port, ssl=old, server_hostname="")
            await until(lambda: server.active == 0)
            assert server.accepted == 0

    asyncio.run(go())


def test_tls_1_2_is_enough(pki):
    async def go():
        async with serving(MemoryDatastore(), settings(tls=server_tls(pki))) as (server, port):
            pair = pki.issue("typha-client")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.load_verify_locations(str(pki.ca_file))
            context.load_cert_chain(str(pair.certificate_file), str(pair.key_file))
            raw = await Raw.connect(port, ssl=context, server_hostname="")
            await raw.hello()
            await until(lambda: server.accepted == 1)
            await raw.close()

    asyncio.run(go())
