"""How long to wait before the next attempt to reach the datastore."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

SHORTEST, LONGEST = 0.1, 10.0  # seconds


class Backoff:
    """Waits that double from `SHORTEST` to `LONGEST`, each cut by a random half.

    The jitter keeps the nodes of a cluster from coming back all at once. A connection that lasted
    `LONGEST` counts as good: the next outage starts from the shortest wait.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._connected_at: float | None = None

    def connected(self) -> None:
        """The datastore answers again."""
        self._connected_at = self._clock()

    def lasted(self) -> bool:
        """Whether the connection that failed now had been a good one."""
        return self._connected_at is not None and self._clock() - self._connected_at >= LONGEST

    async def wait(self) -> None:
        """Wait after a failure."""
        if self.lasted():
            self._failures = 0
        self._connected_at = None
        limit = min(LONGEST, SHORTEST * 2 ** min(self._failures, 16))
        self._failures += 1
        await self._sleep(limit * (0.5 + self._chance() / 2))
