"""One of several processes leads; the others wait.

Who leads says so again and again. When nobody has confirmed it for two thirds of the time after
which others may take over, it counts as lost: the work is cancelled, and nothing more is written.
What is on its way even then is the store's to refuse (`seats.opened_fenced`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from tortie.daemon.running import ended
from tortie.datastore import DatastoreError, NotLeading

SECONDS = 15  # after a last sign of who leads, others take over
_RENEWALS = 7.5  # in that time
_LONGEST_PAUSE = 2.0  # seconds: who gives it up is followed soon


class Seat(Protocol):
    """What one process has at a time. It is lost `seconds` after a last `take` or `renew`."""

    seconds: int

    async def take(self) -> str | None:
        """Sit down if nobody does; None: it is ours, else who has it. Raises DatastoreError."""
        ...

    async def renew(self) -> bool:
        """Whether it is still ours. Raises DatastoreError where nobody says so."""
        ...

    async def give_up(self) -> None:
        """Leave it to others at once. Raises DatastoreError."""
        ...


def boot_time() -> float:
    """Seconds that go on while the process, or the machine, stands still."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Standing(NamedTuple):
    """Who leads, "" for us; or why that is not known."""

    leader: str
    problem: str = ""


class Leadership:
    """Ours, while we have `seat`. `told` hears who leads, again and again."""

    def __init__(
        self, seat: Seat, told: Callable[[Standing], None], clock: Callable[[], float] = boot_time
    ) -> None:
        self._seat, self._told, self._clock = seat, told, clock
        self._until = 0.0
        self._sure = seat.seconds * 2 / 3
        self._pause = min(seat.seconds / _RENEWALS, _LONGEST_PAUSE)

    def check(self) -> None:
        """Raises NotLeading unless nobody else can lead by now."""
        if self._clock() >= self._until:
            raise NotLeading("it is not sure any more that this process leads: nothing is written")

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the seat, then do `work` until it is lost; again and again.

        Raises what `work` raises; a seat is given up before.
        """
        while True:
            await self._taken()
            try:
                await self._reign(work)
            finally:
                self._until = 0.0
                with suppress(DatastoreError):  # else it runs out by itself
                    await self._seat.give_up()

    async def _taken(self) -> None:
        while True:
            began = self._clock()
            try:
                holder = await self._seat.take()
            except DatastoreError as problem:
                self._told(Standing("nobody that is known", str(problem)))
            else:
                if holder is None:
                    self._until = began + self._sure
                    self._told(Standing(""))
                    return
                self._told(Standing(holder))
            await asyncio.sleep(self._pause)

    async def _reign(self, work: Callable[[], Awaitable[None]]) -> None:
        working = asyncio.create_task(_done(work))
        keeping = asyncio.create_task(self._kept())
        try:
            await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ends = await ended((working, keeping))
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, NotLeading):
                raise end

    async def _kept(self) -> None:
        """Renew until it is lost."""
        while self._clock() < self._until:
            await asyncio.sleep(self._pause)
            began = self._clock()
            try:
                async with asyncio.timeout(max(0.0, self._until - began)):
                    if not await self._seat.renew():
                        break
            except (DatastoreError, TimeoutError):
                continue
            self._until = began + self._sure
        self._until = 0.0
        self._told(Standing("another process, or nobody"))


async def _done(work: Callable[[], Awaitable[None]]) -> None:
    await work()
