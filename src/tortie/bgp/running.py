"""BIRD kept running: started as our child or found running, watched, begun again.

BIRD outlives this process when it is killed: sessions and routes stay, and the next of us finds it
by its control socket. Where we end in order, BIRD ends so that its peers keep their routes for the
time that a restart takes; what is in the kernel stays too.

A BIRD that can't be asked can't be told either, and would go on with what was true once. So it is
asked now and then, and one that stays silent is killed: that costs no packet, since a restart is
what its peers and the kernel are prepared for.
"""

import asyncio
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from tortie.bgp.bird import Bird, Unusable
from tortie.bgp.clock import now
from tortie.bgp.control import BirdAway, BirdControl, NoSocket
from tortie.bgp.processes import SOCKET, WORDS, Process, kill, running_in

_STARTED = "started"  # a mark: BIRD ran here since the machine started
_SLOW = 3.0  # seconds after which a start is one that people are told of
_STOP_SECONDS = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0  # seconds between starts
_LASTED = 60.0  # seconds after which a start counts as a good one

_log = structlog.get_logger(__name__)


class Patience(NamedTuple):
    """In seconds: between looks at a BIRD that answers and at one that does not; with one that is
    silent; with one that has no socket, which no load explains; and with one that begins."""

    look: float = 5.0
    again: float = 1.0
    silent: float = 60.0
    lost: float = 3.0
    start: float = 30.0


class Running:
    """One BIRD's process. `trouble` says why it can't be asked now; "" for nothing."""

    def __init__(self, bird: Bird, patience: Patience | None = None) -> None:
        self._bird = bird
        self._patience = patience or Patience()
        self._child: subprocess.Popen[bytes] | None = None
        self.process = 0
        self.restarts = 0
        self.adopted = False
        self.trouble = ""

    async def keep(self, changed: Callable[[], None]) -> None:
        """Start BIRD again whenever it ends, for ever. `changed` is called whenever it has begun or
        ended, or could not be started: what it was told may be known to nobody now."""
        loop, wait = asyncio.get_running_loop(), _FIRST_WAIT
        while True:
            began = loop.time()
            try:
                await self.start()
                _log.info("BIRD runs", process=self.process, found_running=self.adopted)
                changed()
                await self._watch()
                _log.error("BIRD has ended; it is started again", process=self.process)
            except (Unusable, OSError) as problem:
                self.trouble = f"BIRD can't be started: {problem}"
                _log.error("BIRD can't be started", problem=str(problem))
            self._reap()
            self.process = 0
            changed()
            wait = _FIRST_WAIT if loop.time() - began > _LASTED else min(2 * wait, _LONGEST_WAIT)
            await asyncio.sleep(wait)
            self.restarts += 1

    async def start(self) -> None:
        """Find BIRD running, else start it. Raises Unusable, OSError."""
        slow = asyncio.get_running_loop().call_later(_SLOW, self._tell_slow)
        try:
            self.adopted = await self._adopt()
            if not self.adopted:
                await self._end_silent()
                self._bird.prepare()
                await asyncio.to_thread(self._spawn, self._command())
                await self._wait_until_it_answers()
        finally:
            slow.cancel()
        self.trouble = ""

    def _tell_slow(self) -> None:
        self.trouble = self.trouble or "BIRD is about to start, and does not answer yet"

    async def _adopt(self) -> bool:
        try:
            async with await self._bird.connect() as control:
                self.process = control.process
        except BirdAway:
            return False
        return True

    async def _end_silent(self) -> None:
        """Beside it another would have no port, and both would write routes."""
        for number in running_in(self._bird.folder):
            _log.error("a BIRD that does not answer is killed", process=number)
            await kill(number)

    def _command(self) -> list[str]:
        """`-R` only where it ran before: a new node would wait for peers before its first route."""
        mark = self._bird.folder / _STARTED
        again = ["-R"] if mark.exists() else []
        mark.touch(mode=0o600)
        return [self._bird.program, *WORDS, *self._bird.options, *again]

    def _spawn(self, command: list[str]) -> None:
        """In a session of its own: who interrupts us in a terminal does not interrupt BIRD."""
        self._child = subprocess.Popen(
            command, cwd=self._bird.folder, stdin=subprocess.DEVNULL, start_new_session=True
        )

    async def _wait_until_it_answers(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience.start
        while loop.time() < until:
            assert self._child is not None
            if self._child.poll() is not None:
                raise Unusable(f"BIRD ended at once, with status {self._child.returncode}")
            if await self._adopt():
                return
            await asyncio.sleep(0.02)
        raise Unusable(f"BIRD does not answer within {self._patience.start:g} s of its start")

    async def _watch(self) -> None:
        """Return once BIRD has ended, by itself or because it was silent for too long."""
        with suppress(ProcessLookupError), Process(self.process) as process:
            async with asyncio.TaskGroup() as both:
                watching = both.create_task(self._kill_if_silent(process))
                await process.ended()
                watching.cancel()

    async def _kill_if_silent(self, process: Process) -> None:
        loop, since = asyncio.get_running_loop(), 0.0
        while True:
            await asyncio.sleep(self._patience.again if self.trouble else self._patience.look)
            asked = loop.time()
            try:
                await self._bird.ask("show status")
            except BirdAway as problem:
                since = since if self.trouble else asked
                self._silent(str(problem))
                lost = isinstance(problem, NoSocket)
                if loop.time() - since >= (self._patience.lost if lost else self._patience.silent):
                    _log.error("BIRD is killed, to be started again", problem=self.trouble)
                    process.kill()
                    return
            else:
                self.trouble = ""

    def _silent(self, why: str) -> None:
        if not self.trouble:
            self.trouble = f"BIRD does not answer since {now()}: {why}; unless it does, it is ended"
            _log.error("BIRD does not answer", process=self.process, problem=why)

    async def stop(self) -> None:
        """End BIRD as for a restart: its peers and the kernel keep their routes meanwhile."""
        await end_left(str(self._bird.folder))
        self._reap()

    def _reap(self) -> None:
        """A child that has ended, or that never came to answer."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


async def end_left(folder: str) -> None:
    """End the BIRD of a folder, also one that a killed daemon left; its routes stay.

    One that does not end within some seconds is killed. Raises OSError.
    """
    there = running_in(Path(folder))
    if not there:
        return
    with suppress(BirdAway, TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            async with await BirdControl.open(str(Path(folder) / SOCKET)) as control:
                await control.ask("graceful restart")
            for number in there:
                with suppress(ProcessLookupError), Process(number) as process:
                    await process.ended()
    for number in there:
        await kill(number)
