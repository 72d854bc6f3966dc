"""The side that listens: it answers whoever has the key, for a bounded time.

To anybody else it gives one line, its nonce, and closes. Who has the key can have it open the ports
of rows P1 to P9 for a moment, and have it send tests to where the question came from, nowhere else.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from tortie.requirements.peer import sealing
from tortie.requirements.peer.answers import WAYS, Way
from tortie.requirements.peer.packets import TOKEN
from tortie.requirements.peer.receiving import Receivers
from tortie.requirements.peer.sending import send

_AT_ONCE = 4  # conversations
_STRANGERS = 5.0  # seconds until the first line that only the key can write
_QUESTIONS = 200
_CONVERSATION = 60.0  # seconds between two lines
_LONGEST = 5.0  # seconds of one wait


class Listener:
    """Listens at an address and port (0: a free one, then in `port`). Raises OSError."""

    def __init__(self, address: str, port: int, key: bytes) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._key = key
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._socket = socket.create_server((address, port), family=family, backlog=_AT_ONCE)
        self.port: int = self._socket.getsockname()[1]
        self._closed = False

    def serve(self, seconds: float, told: Callable[[str], None] = lambda _: None) -> None:
        """Answer for so long, or until `close`. `told` hears who asked."""
        end = time.monotonic() + seconds
        while not self._closed and (left := end - time.monotonic()) > 0:
            self._socket.settimeout(min(left, 0.5))
            try:
                connection, address = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._begin(connection, str(address[0]), told)

    def close(self) -> None:
        """End `serve`."""
        self._closed = True
        self._socket.close()

    def _begin(self, connection: socket.socket, asker: str, told: Callable[[str], None]) -> None:
        if not self._slots.acquire(blocking=False):
            connection.close()
            return
        threading.Thread(
            target=self._serve_one, args=(connection, asker, told), daemon=True
        ).start()

    def _serve_one(
        self, connection: socket.socket, asker: str, told: Callable[[str], None]
    ) -> None:
        try:
            with closing(connection):
                told(f"{asker}: {_answer(connection, self._key, self.port)}")
        finally:
            self._slots.release()


def _answer(connection: socket.socket, key: bytes, port: int) -> str:
    """One conversation; what became of it, for people."""
    connection.settimeout(_CONVERSATION)
    with _ended_after(connection, _STRANGERS) as trusted:
        try:
            return _converse(connection, key, port, trusted)
        except sealing.NotTrusted:
            return "refused: it has another key, or is no tortie"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"ended: {error}"


def _converse(connection: socket.socket, key: bytes, port: int, trusted: Callable[[], None]) -> str:
    lines, hello = connection.makefile("rb"), sealing.greeting()
    connection.sendall(hello)
    nonces = sealing.nonces(hello, lines.readline(sealing.MOST))
    seal = sealing.Seal(key, sealing.Side.LISTENER, nonces)
    talk = _Talk(connection.getsockname()[0], connection.getpeername()[0], port)
    with closing(talk):
        for _ in range(_QUESTIONS):
            line = lines.readline(sealing.MOST)
            if not line:
                return "tested"
            question = seal.open(line)
            trusted()
            connection.sendall(seal.seal(talk.answer(question)))
    return "ended: too many questions"


@contextmanager
def _ended_after(connection: socket.socket, seconds: float) -> Iterator[Callable[[], None]]:
    """End a connection after so long, however slowly it speaks, unless it is trusted by then."""
    timer = threading.Timer(seconds, _shut, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Talk:
    """What one asker has had opened."""

    def __init__(self, own: str, other: str, port: int) -> None:
        self._own, self._other = own, other
        self._allowed = {*WAYS, Way("", "udp", port)}
        self._receivers: Receivers | None = None

    def close(self) -> None:
        """Close what was opened for it."""
        if self._receivers is not None:
            self._receivers.close()
            self._receivers = None

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question. Raises ValueError for what is none."""
        match question.get("do"):
            case "listen":
                return self._listen(question)
            case "arrived":
                return self._arrived(question)
            case "send":
                tests, token = self._tests(question), _token(question)
                done = send(self._other, tests, token)
                return {"done": [[*test, words] for test, words in done.items()]}
        raise ValueError("a question that is not known here")

    def _listen(self, question: dict[str, Any]) -> dict[str, Any]:
        self.close()
        self._receivers = Receivers(self._own, self._tests(question), _token(question))
        return {"states": [[*test, words] for test, words in self._receivers.states.items()]}

    def _arrived(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._receivers is None:
            raise ValueError("nothing is listened for")
        sizes = [int(one) for one in question.get("sizes", ())][:64]
        seconds = min(max(float(question.get("seconds", 0)), 0.0), _LONGEST)
        self._receivers.collect(self._tests(question), sizes, seconds)
        return {
            "arrived": [list(test) for test in self._receivers.arrived],
            "sizes": sorted(self._receivers.sizes),
        }

    def _tests(self, question: dict[str, Any]) -> list[Way]:
        """Only what is in the rows: this opens no other port for anybody."""
        found = [Way(str(row), str(kind), int(number)) for row, kind, number in question["tests"]]
        if not set(found) <= self._allowed:
            raise ValueError("a test that no row has")
        return found


def _token(question: dict[str, Any]) -> bytes:
    token = bytes.fromhex(str(question["token"]))
    if len(token) != TOKEN:
        raise ValueError("a token of another length")
    return token
