"""One kind's watch: events as they come, taken up again where a connection broke."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

from tortie.datastore.contract import Closed, Event, Gone, Put, Unavailable
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.decoding import Bookmark, event_of
from tortie.datastore.kubernetes.errors import is_unknown_resource
from tortie.datastore.kubernetes.lists import NotInstalled, pages
from tortie.datastore.kubernetes.places import Place

SHORTEST, LONGEST = 300, 600  # seconds that one watch lasts: reconnects spread over servers
SILENCE_SECONDS = 150.0  # bookmarks come each minute: this is a connection that leads nowhere
OUTAGE_SECONDS = 10.0  # without a connection until the outage is told
LOOK_SECONDS = 30.0  # between looks for a kind that the server does not have yet
PAGE = 500
LARGEST_LINE = 64 << 20  # bytes

Sink = Callable[[Sequence[Event]], None]
Room = Callable[[], Awaitable[object]]


class Stream:
    """One kind from a revision on. `revision` is up to where everything of it has been told."""

    def __init__(self, client: Client, place: Place, since: int) -> None:
        self._client = client
        self.place = place
        self.revision = since
        self.active = 0.0  # when something last came (monotonic, seconds)
        self.connected = False
        self._down_since: float | None = None
        self._listed = False  # by ourselves, since the kind was not there when we began

    async def run(self, sink: Sink, room: Room) -> None:
        """Follow for ever; events go to `sink`, `room` is waited for before more is read.

        Raises Gone, Forbidden, and Unavailable once there was no connection for OUTAGE_SECONDS.
        """
        failures = 0
        while True:
            started = time.monotonic()
            try:
                await self._once(sink, room)
            except NotInstalled as missing:
                if not self.place.optional:
                    raise missing.error from None
                await self._appeared(sink)
            except Gone:
                if not self._listed:
                    raise
                await self._list(sink)  # a server's history begins a moment after the first list
            except Closed:
                raise
            except Unavailable as error:
                self._note(error)
            finally:
                self.connected = False
            failures = 0 if time.monotonic() - started > 1 else failures + 1
            await asyncio.sleep(_pause(failures))

    def _note(self, error: Unavailable) -> None:
        """Raises what failed, where it has lasted."""
        now = time.monotonic()
        self._down_since = self._down_since or now
        if now - self._down_since > OUTAGE_SECONDS:
            raise error

    async def _once(self, sink: Sink, room: Room) -> None:
        request = Request(self.place.kind, self.place.collection(), self._parameters())
        try:
            async with self._client.stream(request, SILENCE_SECONDS) as chunks:
                self._down_since = None
                self.active, self.connected = time.monotonic(), True
                async for lines in _lines(chunks):
                    self.active = time.monotonic()
                    sink(self._events(lines))
                    self._listed = False
                    await room()
        except Refused as refused:
            if is_unknown_resource(refused.status):
                raise NotInstalled(self.place, self._client.access.server) from None
            raise refused.error from None

    def _parameters(self) -> tuple[tuple[str, str], ...]:
        return (
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", str(max(1, self.revision))),  # 0 would mean "as of whenever"
            ("timeoutSeconds", str(random.randint(SHORTEST, LONGEST))),
        )

    def _events(self, lines: Sequence[bytes]) -> list[Event]:
        found: list[Event] = []
        for line in lines:
            event = event_of(line, self.place) if line else None
            if event is None:
                continue
            self.revision = max(self.revision, event.revision)
            if not isinstance(event, Bookmark):
                found.append(event)
        return found

    async def _appeared(self, sink: Sink) -> None:
        """Wait until the server has the kind, then tell what there is of it."""
        self.connected = True  # there is none of it: that is known, up to now
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.active = time.monotonic()
            try:
                return await self._list(sink)
            except NotInstalled:
                continue

    async def _list(self, sink: Sink) -> None:
        revision = self.revision
        async with aclosing(pages(self._client, self.place, "", PAGE)) as found:
            async for listing in found:
                puts = [
                    Put(resource.key, resource, int(resource.metadata.resource_version))
                    for resource in listing.resources
                ]
                sink([*puts, *listing.malformed])
                revision = listing.revision
        self.revision, self._listed = max(self.revision, revision), True


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Whole lines, as many as came together."""
    rest = bytearray()
    async for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            rest += chunk
            if len(rest) > LARGEST_LINE:
                raise Unavailable("an event of the watch is too large to be one")
            continue
        rest += chunk[:end]
        lines = bytes(rest).split(b"\n")
        rest = bytearray(chunk[end + 1 :])
        yield lines


def _pause(failures: int) -> float:
    """Seconds before the next connection; none after one that lasted."""
    if not failures:
        return 0.0
    return min(3.0, 0.05 * float(2**failures)) * (0.5 + random.random() / 2)
