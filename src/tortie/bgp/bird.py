"""A running BIRD: started as our child or found running, told its configuration, begun again.

BIRD outlives this process when it is killed: sessions and routes stay, and the next of us finds it
by its control socket. Where we end in order, BIRD ends so that its peers keep their routes for the
time that a restart takes; what is in the kernel stays too.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from tortie.bgp.control import BirdAway, BirdControl, ended
from tortie.bgp.replies import Reply

CONFIGURATION = "bird.conf"
CANDIDATE = "candidate.conf"
SOCKET = "bird.ctl"
_STARTED = "started"  # a mark: BIRD ran here since the machine started
_ACCOUNT = "bird"  # Debian's, without rights but those that BIRD keeps: addresses, routes, ports
_CHECK_SECONDS = 30.0
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0  # seconds between starts
_LASTED = 60.0  # seconds after which a start counts as a good one

_log = structlog.get_logger(__name__)


class Unusable(Exception):
    """BIRD can't be run here; the message says what to do."""


class Refused(Exception):
    """BIRD's parser refuses a configuration; the message has its words."""


class _Owner(NamedTuple):
    user: int
    group: int
    options: tuple[str, ...]


class Bird:
    """One BIRD and its folder. All names given to it are relative to that folder.

    The folders above need not be open to BIRD's account then: it is started inside.
    """

    def __init__(self, folder: str, program: str = "bird") -> None:
        """Raises Unusable, OSError."""
        found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if found is None:
            raise Unusable(f"there is no program {program!r}: install BIRD 2 (Debian: bird2)")
        self._program = found
        self.folder = Path(folder)
        self._owner = _owner()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(self.folder, self._owner.user, self._owner.group)
        os.chmod(self.folder, 0o700)
        self._child: subprocess.Popen[bytes] | None = None
        self.process = 0
        self.restarts = 0
        self.adopted = False

    @property
    def socket(self) -> str:
        """The control socket's path."""
        return str(self.folder / SOCKET)

    async def connect(self) -> BirdControl:
        """A connection to the running BIRD. Raises BirdAway."""
        return await BirdControl.open(self.socket)

    async def ask(self, command: str) -> Reply:
        """One command over a connection of its own. Raises BirdAway."""
        async with await self.connect() as control:
            return await control.ask(command)

    def in_force(self) -> str:
        """The configuration that BIRD was last given; "" for none."""
        try:
            return (self.folder / CONFIGURATION).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    async def install(self, text: str) -> None:
        """Put a configuration in the place of the last, once BIRD's parser has taken it.

        Raises Refused; then the last one stays.
        """
        candidate = self.folder / CANDIDATE
        self._write(candidate, text)
        problem = await asyncio.to_thread(self._check)
        if problem:
            candidate.unlink()
            raise Refused(problem)
        os.replace(candidate, self.folder / CONFIGURATION)

    def _write(self, path: Path, text: str) -> None:
        """0600 and BIRD's from its first byte on: there are passwords in it."""
        with suppress(FileNotFoundError):
            path.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            os.fchown(file.fileno(), self._owner.user, self._owner.group)
            file.write(text)

    def _check(self) -> str:
        try:
            done = subprocess.run(
                [self._program, "-p", "-c", CANDIDATE],
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            return f"its parser can't be run: {problem}"
        return "" if done.returncode == 0 else done.stderr.strip() or "no reason given"

    async def configure(self) -> None:
        """Have the running BIRD read its file again; sessions stay. Raises Refused, BirdAway."""
        reply = await self.ask("configure")
        if reply.failed:
            raise Refused(str(reply))

    async def start(self) -> None:
        """Find BIRD running, else start it. Raises Unusable."""
        try:
            async with await self.connect() as control:
                self.process, self.adopted = control.process, True
                return
        except BirdAway:
            self.adopted = False
        mark = self.folder / _STARTED
        again = mark.exists()
        mark.touch(mode=0o600)
        command = [self._program, "-f", "-c", CONFIGURATION, "-s", SOCKET, *self._owner.options]
        # Only where it ran before: a new node would wait for peers before it writes any route.
        command += ["-R"] if again else []
        await asyncio.to_thread(self._spawn, command)
        await self._wait_until_it_answers()

    def _spawn(self, command: list[str]) -> None:
        """In a session of its own: who interrupts us in a terminal does not interrupt BIRD."""
        self._child = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, start_new_session=True
        )

    async def _wait_until_it_answers(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _START_SECONDS
        while loop.time() < until:
            assert self._child is not None
            if self._child.poll() is not None:
                raise Unusable(f"BIRD ended at once, with status {self._child.returncode}")
            try:
                async with await self.connect() as control:
                    self.process = control.process
                    return
            except BirdAway:
                await asyncio.sleep(0.02)
        raise Unusable(f"BIRD does not answer within {_START_SECONDS:g} s of its start")

    async def keep_running(self, started: Callable[[], None]) -> None:
        """Start BIRD again whenever it ends, for ever. `started` is called after each start."""
        loop, wait = asyncio.get_running_loop(), _FIRST_WAIT
        while True:
            began = loop.time()
            try:
                await self.start()
                _log.info("BIRD runs", process=self.process, found_running=self.adopted)
                started()
                await ended(self.process)
                _log.error("BIRD has ended; it is started again", process=self.process)
            except Unusable as problem:
                _log.error("BIRD can't be started", problem=str(problem))
            self._reap()
            self.process = 0
            wait = _FIRST_WAIT if loop.time() - began > _LASTED else min(2 * wait, _LONGEST_WAIT)
            await asyncio.sleep(wait)
            self.restarts += 1

    async def stop(self) -> None:
        """End BIRD as for a restart: its peers and the kernel keep their routes meanwhile."""
        if not self.process:
            return
        process = self.process
        with suppress(BirdAway):
            await self.ask("graceful restart")
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await ended(process)
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
        self._reap()

    def _reap(self) -> None:
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(_STOP_SECONDS)
            self._child = None


def _owner() -> _Owner:
    """BIRD's own account where there is one; as root it would have more rights than it needs."""
    try:
        account = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return _Owner(os.geteuid(), os.getegid(), ())
    if os.geteuid() != 0:
        return _Owner(os.geteuid(), os.getegid(), ())
    return _Owner(account.pw_uid, account.pw_gid, ("-u", _ACCOUNT, "-g", _ACCOUNT))


async def end_left(folder: str) -> None:
    """End a BIRD that a killed daemon left in its folder; its routes stay. Raises OSError."""
    try:
        async with await BirdControl.open(str(Path(folder) / SOCKET)) as control:
            process = control.process
            await control.ask("graceful restart")
    except BirdAway:
        return
    async with asyncio.timeout(_STOP_SECONDS):
        await ended(process)
