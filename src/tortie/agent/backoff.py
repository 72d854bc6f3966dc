"""When to try again what failed: soon at first, then ever less often."""

import asyncio
from collections.abc import Callable

_FIRST = 0.1  # seconds
_LAST = 30.0


class Backoff:
    """One pending retry at a time; each that fails doubles the wait."""

    def __init__(self, first: float = _FIRST, last: float = _LAST) -> None:
        self._first = first
        self._last = last
        self._wait = first
        self._pending: asyncio.TimerHandle | None = None

    def schedule(self, retry: Callable[[], None]) -> None:
        """Call `retry` later, unless a retry is pending already. Needs a running loop."""
        if self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(self._wait, self._fire, retry)
            self._wait = min(self._wait * 2, self._last)

    def reset(self) -> None:
        """All is well: the next trouble is retried soon."""
        self._wait = self._first
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _fire(self, retry: Callable[[], None]) -> None:
        self._pending = None
        retry()
