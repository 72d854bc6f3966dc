"""WireGuard devices of wireguard-go: text over its unix socket, "cross-platform userspace API".

https://www.wireguard.com/xplatform/ has the words.
"""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tortie.linux.wireguard import (
    Device,
    DeviceChange,
    Endpoint,
    Peer,
    PeerChange,
    PrivateKey,
)
from tortie.net import Prefix, format_address, parse_address, parse_network

PATIENCE = 5.0  # seconds


class NoAnswer(TimeoutError):
    """wireguard-go hangs."""


class UserspaceWireguard:
    """The device behind a socket. `patience`: how long to wait for an answer, in seconds.

    All raises NoAnswer, OSError.
    """

    def __init__(self, path: Path, patience: Callable[[], float] = lambda: PATIENCE) -> None:
        self._path, self._patience = path, patience

    def read(self) -> Device:
        """What it holds."""
        return parse_device(self._ask("get=1\n\n"))

    def write(self, change: DeviceChange) -> None:
        """Change it."""
        self._ask(build_set(change))

    def close(self) -> None:
        """Nothing is held open."""

    def _ask(self, text: str) -> str:
        patience = self._patience()
        try:
            answer = self._answer(text, patience)
        except TimeoutError:
            message = f"wireguard-go does not answer at {self._path} within {patience:g} s"
            raise NoAnswer(message) from None
        text, _, code = answer.decode(errors="replace").rstrip("\n").rpartition("errno=")
        if not code.isdecimal():
            raise OSError(0, f"{self._path}: wireguard-go gave no answer")
        if code != "0":
            raise OSError(int(code), f"{self._path}: {os.strerror(int(code))}")
        return text

    def _answer(self, text: str, patience: float) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(patience)
            sock.connect(str(self._path))
            sock.sendall(text.encode())
            answer = b""
            while not answer.endswith(b"\n\n"):
                part = sock.recv(1 << 16)
                if not part:
                    break
                answer += part
        return answer


def build_set(change: DeviceChange) -> str:
    """The request that changes a device."""
    return "".join(f"{line}\n" for line in ("set=1", *_lines(change), ""))


def _lines(change: DeviceChange) -> Iterator[str]:
    if change.private_key is not None:
        yield f"private_key={change.private_key.secret.hex()}"
    if change.port is not None:
        yield f"listen_port={change.port}"
    if change.mark is not None:
        yield f"fwmark={change.mark}"
    for peer in change.peers:
        yield from _peer(peer)


def _peer(peer: PeerChange) -> Iterator[str]:
    yield f"public_key={peer.public_key.hex()}"
    if peer.gone:
        yield "remove=true"
        return
    if peer.endpoint is not None:
        address, port = peer.endpoint
        text = format_address(address.version, address.address)
        yield f"endpoint=[{text}]:{port}" if address.version == 6 else f"endpoint={text}:{port}"
    if peer.keepalive is not None:
        yield f"persistent_keepalive_interval={peer.keepalive}"
    if peer.allowed is not None:
        yield "replace_allowed_ips=true"
    allowed = (peer.allowed or frozenset()) | peer.added
    yield from (f"allowed_ip={prefix}" for prefix in sorted(allowed))


def parse_device(text: str) -> Device:
    """What an answer to "get" says; words that are not known are passed over. Raises ValueError."""
    own: dict[str, str] = {}
    peers: dict[bytes, Peer] = {}
    key, words, allowed = b"", own, set[Prefix]()
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == "public_key":
            if key:
                peers[key] = _read_peer(key, words, allowed)
            key, words, allowed = bytes.fromhex(value), {}, set()
        elif name == "allowed_ip":
            allowed.add(parse_network(value))
        else:
            words[name] = value
    if key:
        peers[key] = _read_peer(key, words, allowed)
    secret = own.get("private_key")
    return Device(
        PrivateKey(bytes.fromhex(secret)) if secret else None,
        int(own.get("listen_port", "0")),
        int(own.get("fwmark", "0")),
        peers,
    )


def _read_peer(key: bytes, words: dict[str, str], allowed: set[Prefix]) -> Peer:
    endpoint = words.get("endpoint")
    return Peer(
        key,
        _read_endpoint(endpoint) if endpoint else None,
        int(words.get("persistent_keepalive_interval", "0")),
        frozenset(allowed),
        int(words.get("last_handshake_time_sec", "0")),
        int(words.get("rx_bytes", "0")),
        int(words.get("tx_bytes", "0")),
    )


def _read_endpoint(text: str) -> Endpoint:
    address, _, port = text.rpartition(":")
    return Endpoint(Prefix.single(*parse_address(address.strip("[]"))), int(port))
