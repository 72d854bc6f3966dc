"""A fan-out server in the test's own loop, with real sockets, and clients that fold its stream."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

from tortie.api import GlobalNetworkSet, Key, NetworkSetSpec, ObjectMeta, Resource
from tortie.datastore import Datastore
from tortie.fanout.client import FanoutFollower
from tortie.fanout.discovery import FindServers, at_address
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Hello, written
from tortie.fanout.protocol import ClientSide
from tortie.fanout.server import FanoutServer
from tortie.fanout.server_settings import ServerSettings
from tortie.fanout.settings import FanoutClientSettings
from tortie.sync import FELIX_KINDS, TUNNEL_KINDS, Backoff, InSync, Progress, Syncer, Update

PATIENCE = 60.0  # seconds until a condition that a test waits for counts as never coming


def settings(**changes: object) -> ServerSettings:
    """Of a server on a free port of loopback."""
    return ServerSettings(**{"host": "127.0.0.1", "port": 0, **changes})


def syncers(store: Datastore) -> dict[str, Callable[..., Syncer]]:
    """What the server follows."""

    def source(kinds):
        return lambda admit: Syncer(store, kinds, admit=admit, backoff=hurried())

    return {"felix": source(FELIX_KINDS), "tunnel-ip": source(TUNNEL_KINDS)}


@asynccontextmanager
async def serving(
    store: Datastore, changed: ServerSettings | None = None, sources=None
) -> AsyncIterator[tuple[FanoutServer, int]]:
    """A running server and its port."""
    server = FanoutServer(changed or settings(), sources or syncers(store))
    port = await server.start()
    running = asyncio.create_task(server.run())
    try:
        yield server, port
    finally:
        if not server._failed.done():
            running.cancel()
        with suppress(asyncio.CancelledError):
            try:
                await running
            finally:
                await server.close()


class Client:
    """Folds a follower's stream as an agent would, checking what must hold at each step."""

    def __init__(self, follower: FanoutFollower) -> None:
        self.follower = follower
        self.values: dict[Key, Resource] = {}
        self.updates: list[Update] = []
        self.in_syncs = 0
        self.revision = -1

    async def follow(self) -> None:
        async with aclosing(self.follower.stream()) as batches:
            async for batch in batches:
                for item in batch:
                    self._fold(item)

    def _fold(self, item) -> None:
        match item:
            case Update(key, value):
                self.updates.append(item)
                assert value is not None or key in self.values, f"{key} was never there"
                if value is None:
                    del self.values[key]
                else:
                    assert self.values.get(key) != value, f"{key} is repeated"
                    self.values[key] = value
            case InSync():
                self.in_syncs += 1
                assert self.in_syncs == 1
            case Progress(revision):
                assert self.in_syncs == 1
                assert revision >= self.revision
                self.revision = revision


@asynccontextmanager
async def following(
    find: FindServers | int, client_settings: FanoutClientSettings | None = None, **options
) -> AsyncIterator[Client]:
    """A client that follows, in a task of its own."""
    where = at_address("127.0.0.1", find) if isinstance(find, int) else find
    options.setdefault("backoff", hurried())
    client = Client(FanoutFollower(client_settings or FanoutClientSettings(), where, **options))
    task = asyncio.create_task(client.follow())
    try:
        yield client
    finally:
        ended = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not ended, "the stream ended"


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait until it holds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 conditions of many kinds, none has an event
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(what or "it never came") from None


async def caught_up(client: Client, store: Datastore) -> None:
    """Wait until the client knows all that is in the store now."""
    revision = await store.revision()
    await until(lambda: client.revision >= revision, f"revision {revision}, not {client.revision}")


def hurried() -> Backoff:
    """Waits as short as a loop's turn."""
    return Backoff(sleep=lambda _: asyncio.sleep(0.001))


def nets(name: str, *networks: str, **labels: str) -> GlobalNetworkSet:
    """A small object that stands for itself."""
    return GlobalNetworkSet(
        metadata=ObjectMeta(name=name, labels=labels), spec=NetworkSetSpec(nets=networks)
    )


class Raw:
    """A client of few words: what it sends is the test's business."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._protocol = ClientSide()
        self._heard: list[object] = []

    @classmethod
    async def connect(cls, port: int, receive_buffer: int = 0, **options: object) -> "Raw":
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(*await asyncio.open_connection(sock=sock, limit=4096, **options))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hello(self) -> None:
        await self.send(written(FrameType.HELLO, Hello(versions=(1,), stream="felix")))

    async def hear(self, type_: type) -> object:
        """The next message of that type; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while self._heard:
                    if isinstance(one := self._heard.pop(0), type_):
                        return one
                data = await self.reader.read(4096)
                assert data, "the server ended the connection"
                self._heard += self._protocol.feed(data)

    async def ended(self) -> bool:
        """Whether the server ends the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(65536):
                    pass
            except OSError:
                pass
        await self.close()
        return True

    async def close(self) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)
