"""The smallest HTTP server that a probe or a scraper needs: GET and HEAD of a few fixed paths.

Every request gets one answer and the connection ends. A client that sends nothing is let go after
a few seconds, so that it can't hold a connection for ever; and those of more clients than any probe
or scraper has are closed at once, so that strangers can't use up the daemon's file descriptors.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ssl import SSLContext

_READ_TIMEOUT = 5.0
_MOST_CLIENTS = 64  # at once
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What a path says now."""

    status: int
    body: bytes
    content_type: str = _TEXT


Pages = Mapping[str, Callable[[], Answer]]


class HttpServer:
    """Serves `pages` on one address until closed."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def start(self, host: str, port: int, tls: "SSLContext | None" = None) -> int:
        """Listen; "" is every address, port 0 picks one. Returns the port. Raises OSError."""
        self._server = await asyncio.start_server(self._admit, host or None, port, ssl=tls)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= _MOST_CLIENTS:
            writer.transport.abort()
            return
        self._clients += 1
        try:
            await self._serve(reader, writer)
        finally:
            self._clients -= 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _READ_TIMEOUT)
            writer.write(_response(request, self._pages))
            await asyncio.wait_for(writer.drain(), _READ_TIMEOUT)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, TimeoutError):
            pass  # a client that goes away or never asks gets no answer
        finally:
            writer.close()


def _response(request: bytes, pages: Pages) -> bytes:
    method, _, rest = request.partition(b" ")
    path = rest.split(b" ", 1)[0].split(b"?", 1)[0].decode("ascii", "replace")
    answer = _answer(method, path, pages)
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == b"HEAD" else answer.body)


def _answer(method: bytes, path: str, pages: Pages) -> Answer:
    if method not in (b"GET", b"HEAD"):
        return Answer(405, b"only GET and HEAD are answered\n")
    page = pages.get(path)
    if page is None:
        return Answer(404, f"there are: {', '.join(sorted(pages))}\n".encode())
    return page()
