"""One workload of the lab: answers on its ports, and calls others when told.

    python -I -S workload.py NAME CONTROL_SOCKET

Standard library only and run as a script: each workload is a process of this, in a namespace of its
own, so it must start fast and stay small. On every port, TCP or UDP, the answer is one line: this
workload's name and the address that the caller was seen at.

The control socket takes one JSON object a line and answers with one:
    {"verb": "listen", "ports": [["tcp", 80], …]}   ->  {"failed": [["tcp", 80, "why"], …]}
    {"verb": "probe", "timeout": 1.5, "targets": [["tcp", "10.0.0.1", 80], …]}
        ->  {"answers": [["shop/web", "10.0.0.9", 3.1], null, …]}   (name, seen as, milliseconds)
"""

import errno
import itertools
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

# A policy lets an established flow go on, and conntrack remembers a UDP flow for a while: a probe
# on the source port of an earlier one would slip through. So no port is used again before this
# whole range has been gone through.
SOURCE_PORTS = range(20_000, 60_000)
UDP_TRIES = 4  # a first packet may be lost while a neighbour is resolved
TRANSPORT = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}

Answer = tuple[str, str, float] | None


class Server:
    """Listens; a thread of its own answers, also while this workload probes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sockets: dict[tuple[str, int], socket.socket] = {}
        self.selector = selectors.DefaultSelector()
        threading.Thread(target=self._serve, daemon=True).start()

    def listen(self, ports: Iterable[tuple[str, int]]) -> list[tuple[str, int, str]]:
        """Listen on exactly these (protocol, port) pairs; those that failed, with the reason."""
        wanted = {(protocol, port) for protocol, port in ports}
        for gone in self.sockets.keys() - wanted:
            self._close(gone)
        failed = []
        for protocol, port in sorted(wanted - self.sockets.keys()):
            try:
                self._open(protocol, port)
            except OSError as error:
                failed.append((protocol, port, str(error.strerror)))
        return failed

    def _open(self, protocol: str, port: int) -> None:
        """One socket for both IP versions, where the kernel has both."""
        family = socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET
        sock = socket.socket(family, TRANSPORT[protocol])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("", port))
        sock.setblocking(False)
        answer: Callable[[socket.socket], None] = self._answer_udp
        if protocol == "tcp":
            sock.listen(128)
            answer = self._answer_tcp
        self.sockets[protocol, port] = sock
        self.selector.register(sock, selectors.EVENT_READ, answer)

    def _close(self, key: tuple[str, int]) -> None:
        sock = self.sockets.pop(key)
        self.selector.unregister(sock)
        sock.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self.selector.select():
                try:
                    key.data(key.fileobj)
                except OSError:
                    continue  # the caller has gone; there is nobody to tell

    def _answer_tcp(self, sock: socket.socket) -> None:
        connection, peer = sock.accept()
        with connection:
            connection.sendall(self._line(peer[0]))

    def _answer_udp(self, sock: socket.socket) -> None:
        _, peer = sock.recvfrom(64)
        sock.sendto(self._line(peer[0]), peer)

    def _line(self, caller: str) -> bytes:
        return f"{self.name} {caller.removeprefix('::ffff:')}\n".encode()


class Round:
    """One round of calls to many targets at once, within one bounded time."""

    def __init__(self, timeout: float) -> None:
        self.start = time.monotonic()
        self.end = self.start + timeout
        self.repeats = [self.start + timeout * n / UDP_TRIES for n in range(1, UDP_TRIES)]
        self.selector = selectors.DefaultSelector()
        self.answers: dict[int, Answer] = {}

    def call(
        self, index: int, protocol: str, target: tuple[str, int], ports: Iterable[int]
    ) -> None:
        """Begin one call, from the first of `ports` that is free."""
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        sock = socket.socket(family, TRANSPORT[protocol])
        sock.setblocking(False)
        bind(sock, ports)
        try:
            code = sock.connect_ex(target)
            if protocol == "udp":
                sock.send(b"?")
        except OSError as error:
            code = error.errno or errno.EIO
        if code in (0, errno.EINPROGRESS):
            self.selector.register(sock, selectors.EVENT_READ, index)
        else:
            sock.close()

    def finish(self) -> dict[int, Answer]:
        """Read what comes until all have answered or the time is up."""
        while self.selector.get_map() and (left := self.end - time.monotonic()) > 0:
            until_repeat = self.repeats[0] - time.monotonic() if self.repeats else left
            for key, _ in self.selector.select(max(0.0, min(left, until_repeat))):
                self._read(key)
            if self.repeats and time.monotonic() >= self.repeats[0]:
                self.repeats.pop(0)
                self._repeat()
        for key in list(self.selector.get_map().values()):
            self._drop(key)
        self.selector.close()
        return self.answers

    def _read(self, key: selectors.SelectorKey) -> None:
        try:
            name, seen_as = _socket(key).recv(512).decode().split()
            self.answers[key.data] = (name, seen_as, (time.monotonic() - self.start) * 1000)
        except (OSError, ValueError):
            pass  # refused, or no answer of ours: nobody that we know has answered
        self._drop(key)

    def _repeat(self) -> None:
        for key in self.selector.get_map().values():
            if _socket(key).type == socket.SOCK_DGRAM:
                try:
                    _socket(key).send(b"?")
                except OSError:
                    continue  # refused on the way: the read will find that too

    def _drop(self, key: selectors.SelectorKey) -> None:
        self.selector.unregister(key.fileobj)
        _socket(key).close()


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


def bind(sock: socket.socket, ports: Iterable[int]) -> None:
    """Bind to the first free one of the ports."""
    for port in ports:
        try:
            sock.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return


def control(path: str, server: Server) -> None:
    """Serve the control socket, one caller after the other, for ever."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.umask(0o177)
    listener.bind(path + ".new")
    listener.listen(8)
    os.rename(path + ".new", path)  # whoever finds the name is answered
    ports = itertools.cycle(SOURCE_PORTS)
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                stream.write(json.dumps(answer(json.loads(line), server, ports)) + "\n")
                stream.flush()


def answer(request: dict[str, Any], server: Server, ports: Iterable[int]) -> dict[str, object]:
    """Carry out one request."""
    if request["verb"] == "listen":
        return {"failed": server.listen(request["ports"])}
    targets = request["targets"]
    calls = Round(request["timeout"])
    for index, (protocol, address, port) in enumerate(targets):
        calls.call(index, protocol, (address, port), ports)
    answers = calls.finish()
    return {"answers": [answers.get(index) for index in range(len(targets))]}


if __name__ == "__main__":
    control(sys.argv[2], Server(sys.argv[1]))
