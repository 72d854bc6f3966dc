"""A socket that never blocks, in the clear or with TLS.

TLS is written straight from a crumb's bytes to the kernel: OpenSSL encrypts and sends in one call,
outside the GIL. asyncio's own TLS would copy each crumb three times more for every client.
"""

import socket
import ssl
from typing import Any, Protocol

_READ = 16 << 10
_MOST_READS = 8


class Wire(Protocol):
    """What a connection does with its socket. All methods raise OSError where it is broken."""

    def fileno(self) -> int:
        """The descriptor, to be waited on."""
        ...

    def shake_hands(self) -> bool:
        """Go on with the handshake; whether it is done. Else: `wants_write` or wait to read."""
        ...

    @property
    def wants_write(self) -> bool:
        """Whether the handshake goes on when the socket can be written."""
        ...

    def send(self, data: bytes | memoryview) -> int:
        """Send what the kernel takes now; how many bytes, maybe 0."""
        ...

    def receive(self) -> tuple[bytes, bool]:
        """What has come, and whether the peer has ended."""
        ...

    def certificate(self) -> dict[str, Any] | None:
        """The peer's certificate, which was verified; None in the clear."""
        ...

    def close(self) -> None:
        """Let go of the socket at once."""
        ...


class PlainWire:
    """Without TLS."""

    wants_write = False

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.fileno = sock.fileno
        self.close = sock.close

    def shake_hands(self) -> bool:
        return True

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def receive(self) -> tuple[bytes, bool]:
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return b"", False
        return data, not data

    def certificate(self) -> None:
        return None


class TlsWire:
    """With TLS, as the server."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.wants_write = False
        self.fileno = self._sock.fileno
        self.close = self._sock.close

    def shake_hands(self) -> bool:
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self.wants_write = False
            return False
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return False
        return True

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def receive(self) -> tuple[bytes, bool]:
        data = b""
        for _ in range(_MOST_READS):  # OpenSSL may hold more than the kernel tells of
            try:
                part = self._sock.recv(_READ)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return data, False
            if not part:
                return data, True
            data += part
        return data, False

    def certificate(self) -> dict[str, Any] | None:
        return self._sock.getpeercert()
