"""What is known of an outage, and what of it is told to people."""

import time
from collections.abc import Callable
from typing import NamedTuple

_LINES = 5  # that one outage tells, however many reasons it finds


class Outage(NamedTuple):
    """The datastore can't be followed: since when (of the monotonic clock, seconds) and why."""

    since: float
    reason: str


class Outages:
    """The outage that goes on, if any. Each of its reasons is told once, not at each attempt."""

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._said: set[str] = set()
        self.current: Outage | None = None

    def note(self, reason: str) -> None:
        """An attempt failed; what failed before in the same outage keeps its time."""
        since = self.current.since if self.current else self._clock()
        self.current = Outage(since, reason)
        if reason not in self._said and len(self._said) < _LINES:
            self._said.add(reason)
            self._tell(f"the datastore can't be followed, will go on trying: {reason}")

    def end(self) -> None:
        """It is followed again. That is no new start: it may fail the same way at once."""
        self.current = None

    def forget(self) -> None:
        """It was followed for a good while: the next outage is another one."""
        self._said.clear()
