"""One stream of the datastore, followed once for any number of clients.

Updates gather for a moment and go out as one crumb. The moment grows with the load: it lasts as
long as the last round over all clients took, so that the server is never busy with sending alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from tortie.datastore import DatastoreError
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Progress, Status, batch, written
from tortie.fanout.picture import Picture
from tortie.fanout.snapshots import Snapshot, chunks, pack
from tortie.fanout.tally import Tally
from tortie.fanout.trail import Trail
from tortie.sync import Backoff, Item, Outage

_LOOK = 0.5  # seconds between looks whether the datastore is still followed
_STALE = 1 << 20  # bytes of crumbs after a snapshot, before a new one is made for who joins


class Source(Protocol):
    """`tortie.sync.Syncer`, as far as it is used here."""

    @property
    def outage(self) -> Outage | None:
        """Why the datastore can't be followed now; None while it can."""
        ...

    def stream(self) -> AsyncIterator[list[Item]]:
        """Batches of the update stream."""
        ...


class Upstream:
    """The picture and the trail of one stream. `send` puts each new crumb to all clients."""

    def __init__(
        self,
        source: Source,
        identity: Callable[[], Awaitable[str]],
        send: Callable[[], Awaitable[None]],
        least_age: float,
        tally: Tally,
    ) -> None:
        self._source = source
        self._identify = identity
        self._send = send
        self._least_age = least_age
        self._tally = tally
        self._identity = ""
        self._dirty = asyncio.Event()
        self._moved = asyncio.Event()
        self._snapshot: asyncio.Task[Snapshot] | None = None
        self._said: str = ""  # the outage that clients know of
        self._reached = 0  # the revision that they know of
        self.picture = Picture()
        self.trail = Trail(time.monotonic())
        self.ready = asyncio.Event()

    @property
    def outage(self) -> Outage | None:
        """Why the datastore can't be followed now."""
        return self._source.outage

    async def run(self) -> None:
        """Follow and publish until cancelled, or until the datastore is closed."""
        publishing = asyncio.create_task(self._publish())
        try:
            async for items in self._source.stream():
                self.picture.take(items)
                if self.picture.in_sync and not self._identity:
                    await self._learn_identity()
                    self.ready.set()
                self._dirty.set()
                await asyncio.sleep(0)  # a long picture must not keep the clients waiting
        finally:
            publishing.cancel()
            with suppress(asyncio.CancelledError):
                await publishing

    async def reach(self, revision: int, within: float) -> None:
        """Return once the picture is as new as `revision`, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.picture.revision < revision:
                    self._moved.clear()
                    await self._moved.wait()

    async def snapshot(self) -> Snapshot:
        """The picture for a client that joins now: one that is there, or a new one."""
        await self.ready.wait()
        task = self._snapshot
        if task is None:
            task = self._snapshot = asyncio.create_task(self._make())
        else:
            self._tally.snapshots_reused += 1
        return await asyncio.shield(task)

    def status(self) -> bytes:
        """The frame that says whether the datastore can be followed."""
        if outage := self.outage:
            status = Status(outage.reason, time.monotonic() - outage.since)
        elif not self.ready.is_set():
            status = Status("it has not seen the whole datastore yet")
        else:
            status = Status()
        return written(FrameType.STATUS, status)

    async def _make(self) -> Snapshot:
        at, picture = self.trail.head, self.picture
        made = await pack(picture.records, self._identity, picture.revision, at)
        self._tally.snapshot_made(made.raw_bytes, made.packed_bytes)
        return made

    async def _learn_identity(self) -> None:
        backoff = Backoff()
        while not self._identity:
            try:
                self._identity = await self._identify()
            except DatastoreError:
                await backoff.wait()

    async def _publish(self) -> None:
        await self.ready.wait()
        pause = self._least_age
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._dirty.wait()
            if self._dirty.is_set():
                await asyncio.sleep(pause)
            self._dirty.clear()
            self._put_crumbs()
            started = time.monotonic()
            await self._send()
            pause = max(self._least_age, time.monotonic() - started)

    def _put_crumbs(self) -> None:
        now, wires = time.monotonic(), []
        for chunk in chunks(self.picture.take_changed()):
            wires.append(batch(chunk, len(chunk)))
            self._tally.crumb_made(len(chunk), len(wires[-1]))
        if words := self._words():
            wires[-1:] = [b"".join((*wires[-1:], words))]  # one crumb more would be one send more
        for wire in wires:
            self.trail.put(wire, now)
        if self._snapshot and self._snapshot.done() and self._too_old(self._snapshot):
            self._snapshot = None

    def _words(self) -> bytes:
        """What goes with the objects: how far they go, and whether the datastore is there."""
        words = b""
        if self.picture.revision > self._reached:
            self._reached = self.picture.revision
            words += written(FrameType.PROGRESS, Progress(self._reached))
            self._moved.set()
        outage = self.outage.reason if self.outage else ""
        if outage != self._said:
            self._said = outage
            words += self.status()
        return words

    def _too_old(self, snapshot: "asyncio.Task[Snapshot]") -> bool:
        if snapshot.cancelled() or snapshot.exception():
            return True
        made = snapshot.result()
        return self.trail.behind(made.at) > max(_STALE, made.packed_bytes // 2)
