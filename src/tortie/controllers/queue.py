"""Objects to look at: each once, however often it is named; again later where that failed.

One object that fails waits for its own next attempt, twice as long each time, and holds up nobody.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)

SHORTEST, LONGEST = 0.1, 60.0  # seconds between two attempts
AT_ONCE = 8  # objects that are worked on beside each other: a store's round trip is most of it


class Failure(NamedTuple):
    """Why the last attempt at an object failed, and how many have failed in a row."""

    attempts: int
    problem: Exception


class Queue(Generic[T]):
    """Calls `work` for each item that is added; never twice at once for the same one.

    `told` hears of each failure.
    """

    def __init__(
        self,
        work: Callable[[T], Awaitable[None]],
        told: Callable[[T, Failure], None],
    ) -> None:
        self._work, self._told = work, told
        self._waiting: dict[T, None] = {}  # a set that keeps its order
        self._busy: set[T] = set()
        self._timers: dict[T, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()
        self.failures: dict[T, Failure] = {}
        """Items of which the last attempt failed."""

    def add(self, item: T) -> None:
        """Look at an item soon; at once, though it failed a moment ago: something has changed."""
        if timer := self._timers.pop(item, None):
            timer.cancel()
        self._waiting[item] = None
        self._changed.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is to be looked at now."""
        return not self._waiting and not self._busy

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(self._worker())
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _worker(self) -> None:
        while True:
            item = await self._next()
            self._busy.add(item)
            try:
                await self._work(item)
            except Exception as problem:  # of whatever kind: the others must not wait for it
                self._failed(item, problem)
            else:
                self.failures.pop(item, None)
            finally:
                self._busy.discard(item)
                self._changed.set()  # it may have been named again meanwhile

    async def _next(self) -> T:
        while True:
            for item in self._waiting:
                if item not in self._busy:
                    del self._waiting[item]
                    return item
            self._changed.clear()
            await self._changed.wait()

    def _failed(self, item: T, problem: Exception) -> None:
        before = self.failures.get(item)
        failure = Failure(before.attempts + 1 if before else 1, problem)
        self.failures[item] = failure
        self._told(item, failure)
        pause = min(LONGEST, SHORTEST * 2 ** min(failure.attempts - 1, 16))
        if item not in self._waiting:
            loop = asyncio.get_running_loop()
            delay = pause * (0.5 + random.random() / 2)
            self._timers[item] = loop.call_later(delay, self.add, item)
