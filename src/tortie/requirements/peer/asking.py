"""The side that asks: all tests to the peer and back, and the largest packet that reaches it."""

import secrets
import socket
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import Prefix, parse_address
from tortie.requirements.peer import sealing
from tortie.requirements.peer.answers import WAYS, Passed, PeerReport, Way
from tortie.requirements.peer.packets import TOKEN, smallest
from tortie.requirements.peer.receiving import IN_USE, READY, Receivers
from tortie.requirements.peer.sending import CONNECTED, send, send_sizes

_PATIENCE = 15.0  # seconds for one answer
_WAIT = 1.5  # seconds for what was sent to arrive
_GRID = (576, 1000, 1280, 1350, 1400, 1410, 1420, 1430, 1440, 1450, 1460, 1480, 1500, 4000, 8951)
_FINE = 14  # sizes at once between two of the grid


def ask_peer(host: str, port: int, key: bytes) -> PeerReport:
    """All tests with the listener at a host. A failure is told in the report, never raised."""
    try:
        connection = socket.create_connection((host, port), timeout=_PATIENCE)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        return PeerReport(host, problem=f"nobody listens at {host}, TCP {port}: {words}")
    with closing(connection):
        try:
            return _Conversation(connection, key).report(host, port)
        except (OSError, ValueError, KeyError, sealing.NotTrusted) as error:
            return PeerReport(host, problem=f"{host}: {error}")


class _Conversation:
    def __init__(self, connection: socket.socket, key: bytes) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        greeted, answered = self._lines.readline(sealing.MOST), sealing.answer()
        nonces = sealing.nonces(greeted, answered)
        connection.sendall(answered)
        self._seal = sealing.Seal(key, sealing.Side.ASKER, nonces)
        self._own: str = connection.getsockname()[0]
        self._other: str = connection.getpeername()[0]

    def report(self, host: str, port: int) -> PeerReport:
        """Everything. Raises OSError, ValueError, NotTrusted."""
        there = self._there(WAYS)
        back = self._back(WAYS)
        link = _link_mtu(self._own)
        return PeerReport(host, there, back, self._path_mtu(there, port, link), link)

    def _ask(self, **question: Any) -> dict[str, Any]:
        self._connection.sendall(self._seal.seal(question))
        line = self._lines.readline(sealing.MOST)
        if not line:
            raise sealing.NotTrusted("it ended the conversation: its key is another one")
        return self._seal.open(line)

    def _listen(self, tests: Iterable[Way], token: bytes) -> Mapping[Way, str]:
        answer = self._ask(do="listen", tests=list(map(list, tests)), token=token.hex())
        return _worded(answer["states"])

    def _arrived(self, tests: Iterable[Way], sizes: Iterable[int]) -> tuple[set[Way], set[int]]:
        question = {"tests": list(map(list, tests)), "sizes": list(sizes), "seconds": _WAIT}
        answer = self._ask(do="arrived", **question)
        return {Way(*one) for one in answer["arrived"]}, set(answer["sizes"])

    def _there(self, tests: Iterable[Way]) -> dict[Way, Passed]:
        token = secrets.token_bytes(TOKEN)
        states = self._listen(tests, token)
        sent = send(self._other, tests, token)
        expected = [test for test in tests if states[test] == READY and _may_arrive(sent[test])]
        arrived, _ = self._arrived(expected, ())
        return {test: judge(states[test], sent[test], test in arrived) for test in tests}

    def _back(self, tests: Iterable[Way]) -> dict[Way, Passed]:
        token = secrets.token_bytes(TOKEN)
        with closing(Receivers(self._own, tests, token)) as receivers:
            question = {"tests": list(map(list, tests)), "token": token.hex()}
            sent = _worded(self._ask(do="send", **question)["done"])
            states = receivers.states
            receivers.collect(
                [test for test in tests if states[test] == READY and _may_arrive(sent[test])],
                (),
                _WAIT,
            )
            return {
                test: judge(states[test], sent[test], test in receivers.arrived) for test in tests
            }

    def _path_mtu(self, there: Mapping[Way, Passed], port: int, link: int) -> int:
        """The largest packet that arrives, by a port that is known to pass; 0 where none is."""
        passing = [test for test, one in there.items() if test.kind == "udp" and one.arrived]
        way = passing[0] if passing else Way("", "udp", port)
        token = secrets.token_bytes(TOKEN)
        if self._listen([way], token)[way] != READY:
            return 0
        low = smallest(6 if ":" in self._other else 4)
        sizes = [size for size in (*_GRID, link) if low < size <= link]
        best = 0
        while sizes:
            send_sizes(self._other, way.number, sizes, token)
            _, arrived = self._arrived([], sizes)
            best = max((size for size in arrived if size), default=0)
            sizes = between(best, sizes)
            if not best:
                break
        return best


def between(best: int, tried: Iterable[int]) -> list[int]:
    """The next sizes: between the largest that arrived and the smallest larger one that did not."""
    larger = [size for size in tried if size > best]
    if not larger or min(larger) - best <= 1:
        return []
    end = min(larger)
    step = max((end - best) // _FINE, 1)
    return sorted({*range(best + step, end, step), end - 1})


def judge(state: str, sent: str, arrived: bool) -> Passed:
    """What came of one test: how its receiver stood, how it was sent, whether it arrived. Pure."""
    if arrived or (state == IN_USE and sent == CONNECTED):
        return Passed(True)
    if state == READY or (state == IN_USE and sent != CONNECTED):
        unsent = sent.startswith(("no right", "only"))
        return Passed(False, "" if _may_arrive(sent) else sent, known=not unsent)
    return Passed(False, state, known=False)


def _may_arrive(sent: str) -> bool:
    return sent in ("sent", CONNECTED)


def _worded(rows: Iterable[Any]) -> dict[Way, str]:
    return {Way(str(row), str(kind), int(number)): str(words) for row, kind, number, words in rows}


def _link_mtu(own: str) -> int:
    """The MTU of the interface with our address; 0 where it can't be found."""
    wanted = Prefix.single(*parse_address(own))
    with NetlinkSocket() as sock:
        links = Links(sock)
        mtus = {link.name: link.mtu for link in links.list()}
        for name, held in links.addresses_by_name().items():
            if wanted in held:
                return mtus.get(name, 0)
    return 0
