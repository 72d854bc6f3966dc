"""The listening socket, and how many strangers may stand in it.

Who has not shown a certificate and said hello yet is a stranger. There is room for a bounded number
of them, and when it is full the one that has stood there longest goes: a client of ours needs some
milliseconds, so it is not the one. No connection costs memory before it is let in.
"""

import asyncio
import errno
import resource
import socket
import ssl
import struct
from collections.abc import Callable

import structlog

from tortie.fanout.certificates import server_context, stamp
from tortie.fanout.connection import Connection
from tortie.fanout.messages import Hello
from tortie.fanout.server_settings import ServerSettings
from tortie.fanout.wire import PlainWire, TlsWire

STRANGERS = 512
_BACKLOG = 1024
_AT_ONCE = 32  # accepted before the loop looks at other things
_SPARE = 128  # descriptors for all but connections
_RENEW = 10.0  # seconds between looks whether the certificates' files changed
_PAUSE = 0.2  # seconds, where the machine has no more descriptors
_SEND_BUFFER = 256 << 10  # bytes that the kernel holds for a client that does not read
_RECEIVE_BUFFER = 16 << 10
_RESET = struct.pack("ii", 1, 0)  # linger for no time: the kernel forgets the connection at once
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = structlog.get_logger(__name__)


class Door:
    """Accepts clients; `connections` are those that are open."""

    def __init__(
        self,
        settings: ServerSettings,
        on_hello: Callable[[Connection, Hello], None],
        on_close: Callable[[Connection, str], None],
    ) -> None:
        self._settings = settings
        self._on_hello = on_hello
        self._on_close = on_close
        self._context: ssl.SSLContext | None = None
        self._stamp: tuple[int, ...] = ()  # of the certificates' files
        self._look_at = 0.0
        self._listening: list[socket.socket] = []
        self._strangers: dict[Connection, None] = {}  # the oldest first
        self._most = settings.most_connections
        self.connections: dict[Connection, None] = {}

    def open(self) -> int:
        """Listen. Returns the port. Raises OSError."""
        if self._settings.tls is not None:
            self._stamp = stamp(self._settings.tls)
            self._context = server_context(self._settings.tls)
        self._most = min(self._most, _descriptors(self._most + STRANGERS + _SPARE))
        self._listening = [_listen(self._settings.host, self._settings.port)]
        self._resume()
        return int(self._listening[0].getsockname()[1])

    def close(self) -> None:
        """Accept nobody any more."""
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            loop.remove_reader(sock)
            sock.close()
        self._listening = []

    def renew(self, now: float) -> None:
        """Use the certificates that are there now; unusable ones leave the old ones in use."""
        tls = self._settings.tls
        if tls is None or now < self._look_at:
            return
        self._look_at = now + _RENEW
        try:
            before, self._stamp = self._stamp, stamp(tls)
            if self._stamp != before:
                self._context = server_context(tls)
                _log.info("certificates read anew")
        except OSError as error:
            _log.error("new certificates can't be used, the old ones stay", problem=str(error))

    def admit(self, client: Connection) -> None:
        """It is a client of ours."""
        self._strangers.pop(client, None)

    def _resume(self) -> None:
        for sock in self._listening:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, address = listening.accept()
            except OSError as error:  # nobody waits, or who waited is gone again
                if error.errno in _EXHAUSTED:
                    self._rest(error)
                return
            self._let_in(sock, f"{address[0]}:{address[1]}")

    def _rest(self, error: OSError) -> None:
        _log.error("can't accept connections now", problem=error.strerror)
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            loop.remove_reader(sock)
        loop.call_later(_PAUSE, self._resume)

    def _let_in(self, sock: socket.socket, peer: str) -> None:
        sock.setblocking(False)
        if len(self.connections) - len(self._strangers) >= self._most:
            _reset(sock)
            return
        if len(self._strangers) >= STRANGERS:
            next(iter(self._strangers)).close("it made room for others before it said hello")
        try:
            wire = TlsWire(sock, self._context) if self._context else PlainWire(sock)
        except OSError:  # it is gone already
            sock.close()
            return
        client = Connection(wire, peer, self._settings.tls, self._on_hello, self._closed)
        self.connections[client] = self._strangers[client] = None
        client.start()

    def _closed(self, client: Connection, reason: str) -> None:
        self.connections.pop(client, None)
        self._strangers.pop(client, None)
        self._on_close(client, reason)


def _listen(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        sock = socket.create_server(
            ("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
        )
    else:
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
        sock = socket.create_server(found[0][4][:2], family=found[0][0], backlog=_BACKLOG)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted ones inherit
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    return sock


def _descriptors(wanted: int) -> int:
    """Raise the soft limit of open files as far as it goes; how many clients that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reached = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < reached:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reached, hard))
    if reached < wanted:
        _log.warning("the limit of open files is lower than that of clients", files=reached)
    return max(1, reached - STRANGERS - _SPARE)


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
