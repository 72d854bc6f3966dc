"""The conversation of two nodes: lines that only who has the key can write. Sans-I/O.

The listener begins with a nonce, the other side answers with its own; from then on each line is
"MAC BODY", the MAC (HMAC-SHA-256) being over who speaks, the how many-th line it is, and the body.
A line of anybody else ends the conversation before its body is looked at. Nothing is secret in it.
"""

import hashlib
import hmac
import json
import secrets
from enum import StrEnum
from typing import Any

GREETING = b"tortie-check 1 "
MOST = 16 * 1024  # bytes of a line
_NONCE = 32
_HEX = 2 * hashlib.sha256().digest_size
SHORTEST_KEY = 16  # bytes


class NotTrusted(Exception):
    """The other side has another key, or is something else; the message is for people."""


class Side(StrEnum):
    """Who speaks."""

    LISTENER = "listener"
    ASKER = "asker"


class Seal:
    """One side of one conversation."""

    def __init__(self, key: bytes, side: Side, nonces: bytes) -> None:
        self._key = hmac.digest(key, b"session " + nonces, "sha256")
        self._side = side
        self._other = Side.ASKER if side is Side.LISTENER else Side.LISTENER
        self._sent = self._received = 0

    def seal(self, body: dict[str, Any]) -> bytes:
        """A line to send."""
        data = json.dumps(body).encode()
        line = self._mac(self._side, self._sent, data).encode() + b" " + data + b"\n"
        self._sent += 1
        return line

    def open(self, line: bytes) -> dict[str, Any]:
        """What a line says. Raises NotTrusted."""
        mac, _, data = line.rstrip(b"\n").partition(b" ")
        wanted = self._mac(self._other, self._received, data)
        if len(mac) != _HEX or not hmac.compare_digest(mac, wanted.encode()):
            raise NotTrusted("the other side has another key: give both the same one")
        self._received += 1
        body = json.loads(data)
        if not isinstance(body, dict):
            raise NotTrusted("the other side says what is no question")
        return body

    def _mac(self, side: Side, number: int, data: bytes) -> str:
        return hmac.new(self._key, f"{side} {number} ".encode() + data, "sha256").hexdigest()


def greeting() -> bytes:
    """The listener's first line."""
    return GREETING + secrets.token_hex(_NONCE).encode() + b"\n"


def answer() -> bytes:
    """The asker's first line."""
    return secrets.token_hex(_NONCE).encode() + b"\n"


def nonces(greeted: bytes, answered: bytes) -> bytes:
    """Both nonces of both first lines. Raises NotTrusted for what is none."""
    first, second = greeted.rstrip(b"\n"), answered.rstrip(b"\n")
    if not first.startswith(GREETING):
        raise NotTrusted("who answers there is no `tortie node check --listen`")
    for one in (first[len(GREETING) :], second):
        if len(one) != 2 * _NONCE or one.strip(b"0123456789abcdef"):
            raise NotTrusted("the other side sent no nonce")
    return first + second


def read_key(text: str) -> bytes:
    """A key as people give it. Raises ValueError for one that is too short."""
    key = text.strip().encode()
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"a key has at least {SHORTEST_KEY} characters")
    return key


def new_key() -> str:
    """A key for one run."""
    return secrets.token_urlsafe(24)
