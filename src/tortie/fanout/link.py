"""A client's connection to one server: bytes, time-outs and TLS; it decides nothing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tortie.fanout.certificates import check_peer, client_context
from tortie.fanout.discovery import Server
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Hello, Ping, written
from tortie.fanout.protocol import ClientEvent, ClientSide
from tortie.fanout.settings import FanoutClientSettings

_CONNECT = 10.0  # seconds for TCP and TLS
_READ = 256 << 10  # bytes


class ServerEnded(OSError):
    """The server closed the connection without a word."""


class Link:
    """An open connection. All methods raise OSError, TimeoutError or ProtocolError."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        settings: FanoutClientSettings,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = ClientSide()
        self._read_timeout = settings.read_timeout or None
        self._write_timeout = settings.write_timeout or None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, server: Server, settings: FanoutClientSettings
    ) -> AsyncGenerator["Link", None]:
        """Connect; the peer's certificate has been checked. Also raises WrongPeer."""
        tls = settings.tls
        async with asyncio.timeout(_CONNECT):
            reader, writer = await asyncio.open_connection(
                server.host,
                server.port,
                limit=_READ,
                ssl=client_context(tls) if tls else None,  # read anew: certificates are renewed
                server_hostname="" if tls else None,
            )
        try:
            if tls is not None:
                check_peer(writer.get_extra_info("ssl_object").getpeercert(), tls)
            yield cls(reader, writer, settings)
        finally:
            writer.transport.abort()

    async def greet(self, hello: Hello) -> None:
        """Say which stream is wanted."""
        await self._send(written(FrameType.HELLO, hello))

    async def pong(self, ping: Ping) -> None:
        """Answer a ping."""
        await self._send(written(FrameType.PONG, ping))

    async def events(self) -> list[ClientEvent]:
        """What the server says next; nothing for the settings' time is a TimeoutError."""
        async with asyncio.timeout(self._read_timeout):
            data = await self._reader.read(_READ)
        if not data:
            raise ServerEnded("it closed the connection")
        return self._protocol.feed(data)

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(self._write_timeout):
            await self._writer.drain()
