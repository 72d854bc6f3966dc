"""The sending end of tests."""

import errno
import os
import selectors
import socket
import time
from collections.abc import Iterable
from contextlib import suppress

from tortie.requirements.peer.answers import Way
from tortie.requirements.peer.packets import inner, padded, payload

SENT, CONNECTED = "sent", "connected"
CONNECT_SECONDS = 2.0
_COPIES = 3  # a single packet may get lost on any network
_MTU_DISCOVER = {socket.AF_INET: (0, 10, 3), socket.AF_INET6: (41, 23, 3)}
# Level, option and value: IP_MTU_DISCOVER = IP_PMTUDISC_PROBE, not to be fragmented by anybody.


def send(host: str, tests: Iterable[Way], token: bytes) -> dict[Way, str]:
    """Send each test to an address; "sent", "connected", or why it could not be."""
    chosen = list(tests)
    done = {test: _send_one(host, test, token) for test in chosen if test.kind != "tcp"}
    return done | _connect_all(host, [test for test in chosen if test.kind == "tcp"], token)


def send_sizes(host: str, port: int, sizes: Iterable[int], token: bytes) -> None:
    """Packets of these sizes, with IP's header, not to be fragmented; too large ones stay here."""
    family = _family(host)
    version = 4 if family == socket.AF_INET else 6
    level, option, value = _MTU_DISCOVER[family]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(level, option, value)
        for size in sizes:
            for _ in range(_COPIES):
                with suppress(OSError):
                    sock.sendto(padded(token, size, version), (host, port))


def _send_one(host: str, test: Way, token: bytes) -> str:
    family = _family(host)
    try:
        if test.kind == "udp":
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                _repeat(sock, payload(token), (host, test.number))
            return SENT
        if family != socket.AF_INET:
            return "only between addresses of IPv4"
        with socket.socket(family, socket.SOCK_RAW, test.number) as sock:
            _repeat(sock, inner(token), (host, 0))
    except PermissionError:
        return "no right to send it: needs CAP_NET_RAW, or a rule of this host denies it"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return SENT


def _repeat(sock: socket.socket, data: bytes, where: tuple[str, int]) -> None:
    for _ in range(_COPIES):
        sock.sendto(data, where)


def _connect_all(host: str, tests: list[Way], token: bytes) -> dict[Way, str]:
    """All at once: those that nobody answers take no longer together than one."""
    done: dict[Way, str] = {}
    selector = selectors.DefaultSelector()
    for test in tests:
        sock = socket.socket(_family(host), socket.SOCK_STREAM)
        sock.setblocking(False)
        number = sock.connect_ex((host, test.number))
        if number in (0, errno.EINPROGRESS):
            selector.register(sock, selectors.EVENT_WRITE, test)
        else:
            done[test] = _words(number)
            sock.close()
    end = time.monotonic() + CONNECT_SECONDS
    while selector.get_map() and (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            assert isinstance(key.fileobj, socket.socket)
            selector.unregister(key.fileobj)
            done[key.data] = _finished(key.fileobj, token)
    for key in list(selector.get_map().values()):
        assert isinstance(key.fileobj, socket.socket)
        key.fileobj.close()
        done[key.data] = "nobody answers"
    selector.close()
    return done


def _finished(sock: socket.socket, token: bytes) -> str:
    with sock:
        number: int = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            return _words(number)
        with suppress(OSError):
            sock.sendall(payload(token))
        return CONNECTED


def _words(number: int) -> str:
    return os.strerror(number).lower()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
