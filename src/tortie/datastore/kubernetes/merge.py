"""Several kinds' watches as one stream of batches, each with the revision it is complete up to.

A kind's own stream proves how far it is: by its last event, or by a bookmark, which may be a minute
away for a kind in which nothing happens. Nobody can wait that long for an answer to "is revision R
applied". One API server hands events of all kinds on in the order of their revisions, within
milliseconds. So a revision known to exist counts as reached once every stream is connected and
either past it, or has been silent for SETTLE_SECONDS since it was known. Nothing is lost where
that is wrong: the late event is told all the same, and a stream that breaks goes on from what it
has proved, never from what was assumed.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress

from tortie.datastore.contract import Batch, Event, Unavailable
from tortie.datastore.kubernetes.watches import Stream

SETTLE_SECONDS = 0.03
LOOK_SECONDS = 10.0  # without news: ask how far the store is
BATCH = 1_000  # events
WAITING = 4_000  # events read and not yet taken: then the servers have to wait


class Known:
    """The highest revision that this process has heard of, and whom to tell of a higher one."""

    def __init__(self) -> None:
        self.revision = 0
        self._listeners: set[Callable[[], None]] = set()

    def heard(self, revision: int) -> None:
        """There is a revision this high."""
        if revision > self.revision:
            self.revision = revision
            self.wake()

    def wake(self) -> None:
        """Let all listeners look."""
        for listener in tuple(self._listeners):
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it on news, until `forget`."""
        self._listeners.add(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners.discard(listener)


class Merge:
    """The streams of one watch."""

    def __init__(self, streams: Sequence[Stream], since: int, known: Known) -> None:
        self._streams = streams
        self._known = known
        self._reached = since  # what was told
        self._settled = since  # what counts as complete though not all have proved it
        self._candidate = 0
        self._candidate_since = 0.0
        self._pending: list[Event] = []
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def batches(
        self, look: Callable[[], Awaitable[object]], closed: Callable[[], bool]
    ) -> AsyncGenerator[Batch, None]:
        """Batches for ever. Raises what a stream raises, after what came before it was told."""
        tasks = [asyncio.ensure_future(self._follow(stream)) for stream in self._streams]
        self._known.listen(self._news.set)
        try:
            while not closed():
                if self._is_due(time.monotonic()):
                    await _turns()
                batch = self._take()
                if batch is not None:
                    yield batch
                elif self._failure is not None:
                    raise self._failure
                else:
                    await self._wait(look)
        finally:
            self._known.forget(self._news.set)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, stream: Stream) -> None:
        try:
            await stream.run(self._sink, self._room.wait)
        except Exception as error:  # a defect too must end the watch: a kind that hangs fails open
            self._failure = self._failure or error
            self._news.set()

    def _sink(self, events: Sequence[Event]) -> None:
        self._pending += events
        if len(self._pending) >= WAITING:
            self._room.clear()
        self._news.set()

    def _take(self) -> Batch | None:
        self._news.clear()
        events = self._pending[:BATCH]
        del self._pending[:BATCH]
        if len(self._pending) < WAITING:
            self._room.set()
        if not self._pending:
            self._reached, before = max(self._reached, self._complete()), self._reached
            if not events and self._reached == before:
                return None
        events.sort(key=_revision)  # stable: of one kind they were in order
        return Batch(tuple(events), self._reached)

    def _complete(self) -> int:
        """Up to where all kinds are complete."""
        proved = min(stream.revision for stream in self._streams)
        self._known.heard(max(stream.revision for stream in self._streams))
        self._settled = max(self._settled, proved)
        now = time.monotonic()
        if self._has_settled(now):
            self._settled = self._candidate
        if self._candidate <= self._settled < self._known.revision:
            self._candidate, self._candidate_since = self._known.revision, now
        return self._settled

    def _is_due(self, now: float) -> bool:
        """Whether it has been waited for long enough."""
        return self._candidate > self._settled and self._candidate_since <= now - SETTLE_SECONDS

    def _has_settled(self, now: float) -> bool:
        quiet_since = now - SETTLE_SECONDS
        return self._is_due(now) and all(
            stream.revision >= self._candidate or stream.is_quiet(quiet_since)
            for stream in self._streams
        )

    async def _wait(self, look: Callable[[], Awaitable[object]]) -> None:
        pending = self._candidate > self._settled
        try:
            async with asyncio.timeout(SETTLE_SECONDS if pending else LOOK_SECONDS):
                await self._news.wait()
        except TimeoutError:
            if not pending and all(stream.connected for stream in self._streams):
                with suppress(Unavailable):  # the streams themselves tell of an outage
                    await look()


async def _turns() -> None:
    """Let what the kernel has for us be read: who takes our batches may have kept the loop busy,
    and then silence only means that nobody listened.
    """
    for _ in range(10):
        await asyncio.sleep(0)


def _revision(event: Event) -> int:
    return event.revision
