"""A steady stream of small packets from one pod to another: what of it arrives, and when not."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from network.cluster import Cluster
from tortie.linux.namespaces import in_namespace, path_of
from vm.features import in_guest, patience

STEP = 0.02 if in_guest() else 0.002  # seconds from one packet to the next
MARK = b"packet-of-a-stream-"
_PORTS = itertools.count(4100)
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_BUFFER_FORCED = 33  # SO_RCVBUFFORCE
_SETTLE = 0.3  # seconds for the last ones to arrive


class Loss(NamedTuple):
    """Packets sent and lost, and the longest time in which none arrived, in seconds.

    `gaps` are when packets that are lost in a row were sent: from, to.
    """

    sent: int
    lost: int
    longest: float
    gaps: tuple[tuple[float, float], ...] = ()

    def __str__(self) -> str:
        return f"{self.lost} of {self.sent} packets lost, none for {1000 * self.longest:.0f} ms"


class Stream:
    """Runs while it is entered; `loss` is there afterwards.

    Each packet has a number, and is answered, so that a loss on either way counts.
    """

    def __init__(self, cluster: Cluster, source: str, target: str, version: int = 4) -> None:
        self._port = next(_PORTS)
        self._address = cluster.address(target, version)
        self._source = self._bound(cluster.namespace(source), version)
        self._target = self._bound(cluster.namespace(target), version)
        self._arrived: dict[int, float] = {}
        self._sent: dict[int, float] = {}
        self._stop = threading.Event()
        work = (self._send, self._echo, self._collect)
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]

    def _bound(self, namespace: str, version: int) -> socket.socket:
        with in_namespace(path_of(namespace)):
            made = socket.socket(_FAMILY[version], socket.SOCK_DGRAM)
        # What waits for a thread that gets no processor now is not lost.
        made.setsockopt(socket.SOL_SOCKET, _BUFFER_FORCED, 1 << 24)
        made.bind(("", self._port))
        made.settimeout(0.1)
        return made

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + patience(10)
        while not self._arrived:
            assert time.monotonic() < deadline, "the stream does not begin"
            time.sleep(STEP)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        time.sleep(_SETTLE)
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._source.close()
        self._target.close()

    def _send(self) -> None:
        number, due = 0, time.monotonic()
        while not self._stop.is_set():
            number += 1
            self._sent[number] = time.monotonic()
            with suppress(OSError):  # no way there now: as good as lost
                self._source.sendto(b"%s%d" % (MARK, number), (self._address, self._port))
            due = max(due + STEP, time.monotonic())  # no burst for what it slept too long
            time.sleep(max(0.0, due - time.monotonic()))

    def _echo(self) -> None:
        while not self._stop.is_set():
            try:
                data, caller = self._target.recvfrom(64)
                self._target.sendto(data, caller)
            except OSError:
                continue

    def _collect(self) -> None:
        while not self._stop.is_set():
            try:
                number = int(self._source.recv(64).removeprefix(MARK))
                self._arrived[number] = time.monotonic()
            except OSError:
                continue

    @property
    def loss(self) -> Loss:
        """Of what was sent between the first answer and the last time that there was to answer."""
        first = min(self._arrived)
        last = max(self._arrived)
        sent = [number for number in self._sent if first <= number <= last]
        lost = [number for number in sent if number not in self._arrived]
        gaps = tuple(self._gaps(sorted(sent)))
        longest = max((end - begin + STEP for begin, end in gaps), default=0.0)
        return Loss(len(sent), len(lost), longest, gaps)

    def _gaps(self, sent: list[int]) -> Iterator[tuple[float, float]]:
        for lost, run in itertools.groupby(sent, lambda number: number not in self._arrived):
            if lost:
                numbers = list(run)
                yield self._sent[numbers[0]], self._sent[numbers[-1]]
