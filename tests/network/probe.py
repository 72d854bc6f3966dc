"""Single UDP packets of an exact size that may not be cut up: answered, or refused by whom."""

import errno
import os
import select
import socket
import struct
import time
from typing import NamedTuple

from tortie.linux.namespaces import in_namespace, path_of

HEADERS = {4: 28, 6: 48}  # IP and UDP
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}  # IP(V6)_MTU_DISCOVER
_PROBE = 3  # IP_PMTUDISC_PROBE: never cut up, whatever was learnt of the way
_RECVERR = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}
_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err
_FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, …_ICMP6


class Found(NamedTuple):
    """What became of a packet: who answered and whom it took us for; or the MTU that is left.

    `by_icmp`: a router said so, not our own kernel.
    """

    answered_by: str = ""
    seen_as: str = ""
    mtu: int = 0
    by_icmp: bool = False


def call(
    namespace: str, version: int, target: str, port: int, size: int, token: bytes, tries: int = 20
) -> Found:
    """Send packets of `size` bytes with the token in them until something comes back."""
    payload = token.ljust(size - HEADERS[version], b".")
    with in_namespace(path_of(namespace)):
        sock = socket.socket(_FAMILY[version], socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(*_DISCOVER[version], _PROBE)
        sock.setsockopt(*_RECVERR[version], 1)
        sock.setblocking(False)
        sock.connect((target, port))
        for _ in range(tries):
            try:
                sock.send(payload)
            except OSError as error:
                if error.errno not in (errno.EMSGSIZE, errno.ECONNREFUSED, errno.EHOSTUNREACH):
                    raise
            found = _await(sock, 1.0)
            if found is not None:
                return found
    return Found()


def _await(sock: socket.socket, seconds: float) -> Found | None:
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        for _, events in poll.poll(left * 1000):
            if events & select.POLLERR:
                found = _error(sock)
                if found is not None:
                    return found
            if events & select.POLLIN:
                try:
                    name, seen_as = sock.recv(512).decode().split()
                except OSError:
                    continue
                return Found(name, seen_as)
    return None


def _error(sock: socket.socket) -> Found | None:
    try:
        _, ancillary, _, _ = sock.recvmsg(64, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for _, _, data in ancillary:
        number, origin, _, _, _, info, _ = _ERROR.unpack_from(data)
        if number == errno.EMSGSIZE:
            return Found(mtu=info, by_icmp=origin in _FROM_ICMP)
    return None


def token() -> bytes:
    """Bytes that are nowhere else on a wire."""
    return b"token-" + os.urandom(8).hex().encode()
