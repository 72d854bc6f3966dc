"""A bound on requests a second, so that one process never crowds out others."""

import asyncio
import time
from collections.abc import Callable


class Limiter:
    """A token bucket: `burst` requests at once, `qps` a second on average; 0: no bound.

    Waiters go in the order in which they came: each takes its place in time when it asks.
    """

    def __init__(self, qps: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / qps if qps > 0 else 0.0
        self._lead = self._interval * max(0, burst - 1)
        self._clock = clock
        self._next = 0.0

    def delay(self) -> float:
        """Take a place; returns the seconds until it."""
        now = self._clock()
        place = max(self._next, now - self._lead)
        self._next = place + self._interval
        return max(0.0, place - now)

    async def turn(self) -> None:
        """Return when one more request may go out."""
        delay = self.delay()
        if delay > 0:
            await asyncio.sleep(delay)
