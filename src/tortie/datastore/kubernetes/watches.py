"""One kind's watch: events as they come, taken up again where a connection broke."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

from tortie.datastore.contract import Closed, Event, Gone, Put, Rewound, Unavailable
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.decoding import Bookmark, events_of, head_of
from tortie.datastore.kubernetes.errors import is_unknown_resource
from tortie.datastore.kubernetes.lists import NotInstalled, pages
from tortie.datastore.kubernetes.places import Place

SHORTEST, LONGEST = 300, 600  # seconds that one watch lasts: reconnects spread over servers
SILENCE_SECONDS = 150.0  # bookmarks come each minute: this is a connection that leads nowhere
STEADY_SECONDS = 1.0  # that a connection lasts which is none of a row of failures
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
        self._midway = False  # a line has begun and not ended
        self._down_since: float | None = None
        self._listed = False  # by ourselves, since the kind was not there when we began
        self._was_there = False
        self._broke = False  # since the server was last asked whether it is the same one

    def is_quiet(self, since: float) -> bool:
        """Whether it listens, and nothing has come since then (monotonic, seconds)."""
        return self.connected and not self._midway and self.active <= since

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
                if self._was_there:
                    gone = f"{self.place.plural}: the server has none any more: list again"
                    raise Gone(gone) from None
                await self._appeared(sink)
            except Gone:
                if not self._listed:
                    raise
                await self._list(sink)  # a server's history begins a moment after the first list
            except Closed:
                raise
            except Unavailable as error:
                self._broke = True
                self._note(error)
            finally:
                self.connected = self._midway = False
            failures = 0 if time.monotonic() - started > STEADY_SECONDS else failures + 1
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
            if self._broke:
                await self._check_history()
            async with self._client.stream(request, SILENCE_SECONDS) as chunks:
                await self._told(chunks, sink, room)
        except Refused as refused:
            if is_unknown_resource(refused.status):
                raise NotInstalled(self.place, self._client.access.server) from None
            raise refused.error from None

    async def _check_history(self) -> None:
        """Raise Rewound where the server was put back to an earlier copy of its data.

        It takes watches from revisions to come, and tells nothing until it has passed them.
        """
        request = Request(self.place.kind, self.place.collection(), (("limit", "1"),))
        now = head_of(await self._client.send(request), self.place).revision
        if now < self.revision:
            self._listed = False
            raise Rewound(
                f"revision {self.revision} of {self.place.plural} is of another life of the "
                f"server, which is at {now}: list again"
            )
        self._broke = False

    async def _told(self, chunks: AsyncIterator[bytes], sink: Sink, room: Room) -> None:
        began = self.active = time.monotonic()
        self.connected = self._was_there = True
        try:
            async for lines, self._midway in _lines(chunks):
                self.active = time.monotonic()
                if lines:
                    self._tell(lines, sink)
                    self._down_since, self._listed = None, False
                    await room()
        finally:
            lasted = time.monotonic() - began > STEADY_SECONDS
            if lasted:
                self._down_since = None
        if not lasted and self.active == began:
            raise Unavailable(f"the watch of {self.place.plural} ends as soon as it begins")

    def _parameters(self) -> tuple[tuple[str, str], ...]:
        return (
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", str(max(1, self.revision))),  # 0 would mean "as of whenever"
            ("timeoutSeconds", str(random.randint(SHORTEST, LONGEST))),
        )

    def _tell(self, lines: Sequence[bytes], sink: Sink) -> None:
        """Give on what lines say; also what stands before a line that ends the watch."""
        found: list[Event] = []
        try:
            for line in lines:
                for event in events_of(line, self.place) if line else ():
                    self.revision = max(self.revision, event.revision)
                    if not isinstance(event, Bookmark):
                        found.append(event)
        finally:
            sink(found)

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


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[list[bytes], bool]]:
    """Whole lines, as many as came together; and whether one more has begun."""
    rest = bytearray()
    async for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            rest += chunk
            if len(rest) > LARGEST_LINE:
                raise Unavailable("an event of the watch is too large to be one")
            yield [], True
            continue
        rest += chunk[:end]
        lines = bytes(rest).split(b"\n")
        rest = bytearray(chunk[end + 1 :])
        yield lines, bool(rest)


def _pause(failures: int) -> float:
    """Seconds before the next connection; none after one that lasted."""
    if not failures:
        return 0.0
    return min(3.0, 0.05 * float(2**failures)) * (0.5 + random.random() / 2)
