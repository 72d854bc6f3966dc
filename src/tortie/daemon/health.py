"""Liveness and readiness, from reports of the agent's parts.

Live: every part that must move has reported within its timeout. An agent that lost its datastore
is live, since a restart would not bring the datastore back. Ready: every part says that it is
ready; what each is waiting for is in the answer.
"""

import time
from collections.abc import Callable

from msgspec import Struct

from tortie.daemon.http import Answer

Clock = Callable[[], float]


class _Part(Struct):
    timeout: float  # seconds between reports; 0: it need not report
    reported: float
    waiting_for: str  # empty: ready


class Health:
    """What the parts last reported. `clock` gives seconds that only go forward."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._parts: dict[str, _Part] = {}

    def register(self, part: str, timeout: float, waiting_for: str) -> None:
        """Begin to watch a part: live for `timeout` seconds from now, not yet ready."""
        self._parts[part] = _Part(timeout, self._clock(), waiting_for)

    def alive(self, part: str) -> None:
        """The part moves."""
        self._parts[part].reported = self._clock()

    def ready(self, part: str) -> None:
        """The part moves, and does its job."""
        self.waiting(part, "")

    def waiting(self, part: str, reason: str) -> None:
        """The part moves, but can't do its job; `reason` says what it is waiting for."""
        self._parts[part].waiting_for = reason
        self.alive(part)

    @property
    def is_ready(self) -> bool:
        """Whether every part does its job."""
        return not self.not_ready()

    def not_live(self) -> list[str]:
        """One line for each part that has not moved within its timeout."""
        now = self._clock()
        return [
            f"{name}: no sign of life for {now - part.reported:.0f} s"
            for name, part in self._parts.items()
            if part.timeout and now - part.reported > part.timeout
        ]

    def not_ready(self) -> list[str]:
        """One line for each part that is not live or waits for something."""
        waiting = [f"{n}: {p.waiting_for}" for n, p in self._parts.items() if p.waiting_for]
        return self.not_live() + waiting

    def liveness(self) -> Answer:
        """The page /liveness."""
        return _page(self.not_live(), "live")

    def readiness(self) -> Answer:
        """The page /readiness."""
        return _page(self.not_ready(), "ready")


def _page(problems: list[str], good: str) -> Answer:
    if problems:
        return Answer(503, "".join(f"{line}\n" for line in problems).encode())
    return Answer(200, f"{good}\n".encode())
