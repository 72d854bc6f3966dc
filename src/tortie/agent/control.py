"""The control socket: one JSON object per line in, one per line out.

A request names its verb: {"verb": "status"}. Handlers are registered by whoever can answer. Every
answer has "ok"; a false one has "error". Only root can open the socket (0600): whoever can, can
attach workloads.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog

Request = dict[str, object]
Reply = dict[str, object]
Handler = Callable[[Request], Awaitable[Reply]]

_LINE_LIMIT = 4 << 20  # bytes; a network configuration is a few thousand
_LONGEST_PATH = 107  # bytes, of the kernel
_BACKLOG = 4096  # a plugin beyond it is refused at once; runtimes start many pods in one moment
_VERB_SHOWN = 40  # characters
_GRACE = 5.0  # seconds

_log = structlog.get_logger(__name__)


class ControlServer:
    """Serves verbs on a unix socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._handlers: dict[str, Handler] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[Reply]] = set()

    def register(self, verb: str, handler: Handler) -> None:
        """Have `handler` answer requests of that verb."""
        self._handlers[verb] = handler

    async def start(self) -> None:
        """Listen, in place of any socket that a killed agent left. Raises OSError."""
        self._server = await asyncio.start_unix_server(
            self._connected, sock=_listening_socket(self.path), limit=_LINE_LIMIT, backlog=_BACKLOG
        )

    async def close(self) -> None:
        """Stop listening; what is being answered gets a few seconds to come to its end."""
        if self._server is None:
            return
        self._server.close()
        if self._busy:
            await asyncio.wait(self._busy, timeout=_GRACE)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.LimitOverrunError, ValueError) as problem:
            _log.debug("a client of the control socket went away", reason=str(problem))
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            answer = asyncio.create_task(self._answer(line))
            self._busy.add(answer)
            answer.add_done_callback(self._busy.discard)
            writer.write(msgspec.json.encode(await answer) + b"\n")
            await writer.drain()

    async def _answer(self, line: bytes) -> Reply:
        try:
            request = msgspec.json.decode(line, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError) as problem:
            return failure(f"the request is not a JSON object: {problem}")
        verb = str(request.get("verb"))
        handler = self._handlers.get(verb)
        if handler is None:
            verbs = ", ".join(sorted(self._handlers))
            return failure(f"unknown verb {verb[:_VERB_SHOWN]!r}: there are {verbs}")
        try:
            return await handler(request)
        except Exception as problem:  # a defect of one handler must not end the others' service
            _log.exception("a request failed", verb=request.get("verb"))
            return failure(f"{type(problem).__name__}: {problem}")


def failure(message: str) -> Reply:
    """An answer that says why not."""
    return {"ok": False, "error": message}


def _listening_socket(path: str) -> socket.socket:
    """Bind under another name, then rename: no client ever finds a socket nobody listens on.

    The 0600 comes before the name does, and a socket left by a killed agent is replaced.
    """
    staging = f"{path}.{os.getpid()}"
    if len(os.fsencode(staging)) > _LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, "too long for a socket: use a shorter --run-dir", path)
    with suppress(FileNotFoundError):
        os.unlink(staging)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(staging)
        os.chmod(staging, 0o600)
        sock.listen(_BACKLOG)
        os.rename(staging, path)
    except OSError:
        sock.close()
        raise
    return sock
