"""One stream of the datastore, followed once for any number of clients.

A batch goes out as one crumb; in the pause that follows, further changes gather in the store. The
pause grows with the load: it lasts as long as the last round over all clients took, so that the
server is never busy with sending alone. A change that comes alone goes out at once.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from msgspec.structs import replace

from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Progress, Status, batch, written
from tortie.fanout.picture import Picture
from tortie.fanout.snapshots import Snapshot, chunks, pack
from tortie.fanout.tally import Tally
from tortie.fanout.trail import Trail
from tortie.sync import Item, Outage

_LOOK = 0.5  # seconds between looks whether the datastore is still followed
_TOLD = 20  # policies that can't be read, of which clients hear
_LONGEST = 1.0  # seconds that updates gather, however many clients there are
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

    def absent_policies(self) -> list[str]:
        """One line for each stored policy that is not in the stream, since it can't be read."""
        ...


Admit = Callable[[str], None]
"""To be called with the datastore's identity before anything is read; may raise."""


class OtherDatastore(Exception):
    """The store is not the one that was followed before; clients must not take it for that one."""


class Upstream:
    """The picture and the trail of one stream.

    `send` puts new crumbs to all clients and says how many seconds of work that was.
    """

    def __init__(
        self,
        source: Callable[[Admit], Source],
        send: Callable[[], Awaitable[float]],
        least_age: float,
        tally: Tally,
    ) -> None:
        self._send = send
        self._least_age = least_age
        self._tally = tally
        self._identity = ""
        self._source = source(self._admit)
        self._moved = asyncio.Event()
        self._snapshot: asyncio.Task[Snapshot] | None = None
        self._snapshot_revision = 0
        self._said = Status()  # what clients know, but for how long it lasts
        self._reached = 0  # the revision that they know of
        self.picture = Picture()
        self.trail = Trail(time.monotonic())
        self.ready = asyncio.Event()

    @property
    def outage(self) -> Outage | None:
        """Why the datastore can't be followed now."""
        return self._source.outage

    async def run(self) -> None:
        """Follow and publish until cancelled, or until the datastore is closed.

        Raises OtherDatastore, and what a defect raised.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                looking = tasks.create_task(self._look())
                await self._follow()
                looking.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _follow(self) -> None:
        """Pull, publish, pause: what comes meanwhile gathers in the store, and comes at once."""
        async for items in self._source.stream():
            self.picture.take(items)
            if self.picture.in_sync:
                self.ready.set()
                took = await self._publish()
                await asyncio.sleep(min(max(self._least_age, took), _LONGEST))
            else:
                await asyncio.sleep(0)  # a long picture must not keep others waiting

    async def _look(self) -> None:
        """An outage brings no batch: look for it."""
        await self.ready.wait()
        while True:
            await asyncio.sleep(_LOOK)
            if self._status() != self._said:
                await self._publish()

    async def reach(self, revision: int, within: float) -> None:
        """Return once the picture is as new as `revision`, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.picture.revision < revision:
                    self._moved.clear()
                    await self._moved.wait()

    async def snapshot(self, reached: int) -> Snapshot:
        """The picture for a client that joins now: one that is there, or a new one.

        It is not older than `reached`, which the client knows already: that would take the client
        back in time until it has the crumbs that came since. Only for who has waited for `ready`:
        half a picture reads as permission.
        """
        needed = min(reached, self.picture.revision)
        if self._snapshot is None or self._snapshot_revision < needed:
            self._snapshot_revision = self.picture.revision
            self._snapshot = asyncio.create_task(self._make())
        else:
            self._tally.snapshots_reused += 1
        return await asyncio.shield(self._snapshot)

    def status(self) -> bytes:
        """The frame that says whether the datastore can be followed, as the trail has it so far.

        What is newer comes to who joins as it comes to the others: as a crumb.
        """
        return self._told(self._said if self.ready.is_set() else self._status())

    def _told(self, status: Status) -> bytes:
        if outage := self.outage:
            status = replace(status, lasting=time.monotonic() - outage.since)
        return written(FrameType.STATUS, status)

    def _status(self) -> Status:
        absent = tuple(self._source.absent_policies()[:_TOLD])
        if outage := self.outage:
            return Status(outage.reason, absent=absent)
        if not self.ready.is_set():
            return Status("it has not seen the whole datastore yet")
        return Status(absent=absent)

    async def _make(self) -> Snapshot:
        at, picture = self.trail.head, self.picture
        made = await pack(picture.records, self._identity, picture.revision, at)
        self._tally.snapshot_made(made.raw_bytes, made.packed_bytes)
        return made

    def _admit(self, identity: str) -> None:
        if self._identity and identity != self._identity:
            raise OtherDatastore(
                f"the datastore is now {identity}, where {self._identity} was followed before"
            )
        self._identity = identity

    async def _publish(self) -> float:
        """Put what changed to all clients; the seconds of work that this was."""
        self._put_crumbs()
        return await self._send()

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
        status = self._status()
        if status != self._said:
            self._said = status
            words += self._told(status)
        return words

    def _too_old(self, snapshot: "asyncio.Task[Snapshot]") -> bool:
        if snapshot.cancelled() or snapshot.exception():
            return True
        made = snapshot.result()
        return self.trail.behind(made.at) > max(_STALE, made.packed_bytes // 2)
