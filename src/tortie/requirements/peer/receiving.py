"""The receiving end of tests: a socket for each, and what arrived there."""

import errno
import selectors
import socket
import time
from collections.abc import Iterable

from tortie.requirements.peer.answers import Way
from tortie.requirements.peer.packets import size_in, udp_port

READY, IN_USE = "ready", "in use"
_MOST = 65536
_BACKLOG = 8
_SLICE = 1.0  # seconds that one connection may take to say its token


class Receivers:
    """Sockets for tests at one address. `states` say of each test whether it can be received.

    A port that a daemon has is "in use": packets of UDP are seen by a raw socket beside it, and to
    TCP the daemon itself answers.
    """

    def __init__(self, address: str, tests: Iterable[Way], token: bytes) -> None:
        self._token = token
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._address = address
        self._selector = selectors.DefaultSelector()
        self.states = {test: self._open(test) for test in tests}
        self.arrived: set[Way] = set()
        self.sizes: set[int] = set()

    def close(self) -> None:
        """Close all sockets."""
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            self._selector.unregister(key.fileobj)
            key.fileobj.close()
        self._selector.close()

    def collect(self, wanted: Iterable[Way], sizes: Iterable[int], seconds: float) -> None:
        """Wait until all of these have arrived, at most so long."""
        tests, lengths = set(wanted), set(sizes)
        end = time.monotonic() + seconds
        while not (tests <= self.arrived and lengths <= self.sizes):
            left = end - time.monotonic()
            if left <= 0:
                return
            for key, _ in self._selector.select(left):
                assert isinstance(key.fileobj, socket.socket)
                self._take(key.fileobj, key.data)

    def _open(self, test: Way) -> str:
        try:
            sock = self._socket(test)
        except PermissionError:
            return "no right to receive it: needs CAP_NET_RAW and CAP_NET_BIND_SERVICE"
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return (error.strerror or str(error)).lower()
            return self._beside(test)
        self._selector.register(sock, selectors.EVENT_READ, test)
        return READY

    def _beside(self, test: Way) -> str:
        """A daemon has the port: look at UDP's packets as they come."""
        if test.kind == "udp":
            try:
                raw = self._bound(socket.SOCK_RAW, socket.IPPROTO_UDP, 0)
            except OSError:
                return "in use, and no right to look at its packets: needs CAP_NET_RAW"
            self._selector.register(raw, selectors.EVENT_READ, test)
            return READY
        return IN_USE

    def _socket(self, test: Way) -> socket.socket:
        if test.kind == "ip":
            if self._family != socket.AF_INET:
                raise OSError(errno.EAFNOSUPPORT, "only between addresses of IPv4")
            return self._bound(socket.SOCK_RAW, test.number, 0)
        kind = socket.SOCK_STREAM if test.kind == "tcp" else socket.SOCK_DGRAM
        sock = self._bound(kind, 0, test.number)
        if test.kind == "tcp":
            sock.listen(_BACKLOG)
        return sock

    def _bound(self, kind: int, protocol: int, port: int) -> socket.socket:
        sock = socket.socket(self._family, kind, protocol)
        try:
            if kind == socket.SOCK_STREAM:  # of a test just before
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self._address, port))
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        return sock

    def _take(self, sock: socket.socket, test: Way) -> None:
        try:
            data = self._read(sock, test)
        except OSError:
            return
        version = 4 if self._family == socket.AF_INET else 6
        is_raw = sock.type == socket.SOCK_RAW and test.kind == "udp"
        if is_raw and udp_port(data, version) != test.number:
            return
        size = size_in(data, self._token)
        if size is not None:
            self.arrived.add(test)
            self.sizes.add(size)

    def _read(self, sock: socket.socket, test: Way) -> bytes:
        if test.kind != "tcp":
            return sock.recv(_MOST)
        connection, _ = sock.accept()
        with connection:
            connection.settimeout(_SLICE)
            return connection.recv(_MOST)
