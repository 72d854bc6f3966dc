"""A client of BIRD's control socket."""

import asyncio
import socket
import struct
from contextlib import suppress

from tortie.bgp.replies import BadReply, Replies, Reply

ANSWER = 20.0  # seconds
_CHUNK = 1 << 18


class BirdAway(Exception):
    """BIRD does not answer; the message says why."""


class NoSocket(BirdAway):
    """Nothing listens for questions."""


class BirdControl:
    """One connection; one command at a time. `process` is BIRD's id, as the kernel tells it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        process: int,
        patience: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = Replies()
        self._waiting: list[Reply] = []
        self._patience = patience
        self.process = process

    @classmethod
    async def open(cls, path: str, patience: float = ANSWER) -> "BirdControl":
        """Connect; `patience` in seconds is for each answer. Raises BirdAway."""
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except (FileNotFoundError, ConnectionRefusedError) as problem:
            raise NoSocket(f"{path}: {problem.strerror}") from None
        except OSError as problem:
            raise BirdAway(f"{path}: {problem.strerror or problem}") from None
        sock = writer.get_extra_info("socket")
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        control = cls(reader, writer, struct.unpack("3i", credentials)[0], patience)
        try:
            await control._next()  # the greeting
        except BirdAway:
            writer.close()
            raise
        return control

    async def ask(self, command: str) -> Reply:
        """The reply to one of our own fixed commands. Raises BirdAway."""
        try:
            self._writer.write(command.encode("ascii") + b"\n")
            await self._writer.drain()
        except OSError as problem:
            raise BirdAway(str(problem)) from None
        return await self._next()

    async def _next(self) -> Reply:
        try:
            async with asyncio.timeout(self._patience):
                while not self._waiting:
                    data = await self._reader.read(_CHUNK)
                    if not data:
                        raise BirdAway("it closed the connection")
                    self._waiting += self._replies.feed(data)
        except TimeoutError:
            raise BirdAway(f"no answer within {self._patience:g} s") from None
        except (OSError, BadReply) as problem:
            raise BirdAway(str(problem)) from None
        return self._waiting.pop(0)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def __aenter__(self) -> "BirdControl":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        with suppress(OSError):
            await self._writer.wait_closed()
