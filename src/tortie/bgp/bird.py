"""A BIRD's folder: its configuration, put there once its parser takes it; its control socket."""

import asyncio
import os
import pwd
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tortie.bgp.control import ANSWER, BirdAway, BirdControl
from tortie.bgp.processes import CONFIGURATION, SOCKET
from tortie.bgp.refusals import Refused
from tortie.bgp.replies import Reply

CANDIDATE = "candidate.conf"
_ACCOUNT = "bird"  # Debian's, without rights but those that BIRD keeps: addresses, routes, ports
_CHECK_SECONDS = 30.0
_VERSION = re.compile(r"BIRD version (\S+)")
_IGNORED = 6  # the number of "Reconfiguration ignored, shutting down"


class Unusable(Exception):
    """BIRD can't be run here; the message says what to do."""


class _Owner(NamedTuple):
    user: int
    group: int
    options: tuple[str, ...]


class Bird:
    """One BIRD and its folder. All names given to it are relative to that folder.

    The folders above need not be open to BIRD's account then: it is started inside.
    """

    def __init__(self, folder: str, program: str = "bird", answer: float = ANSWER) -> None:
        """`answer`: the seconds that it has for each answer. Raises Unusable, OSError."""
        found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if found is None:
            raise Unusable(f"there is no program {program!r}: install BIRD 2 (Debian: bird2)")
        self.program = found
        self.folder = Path(folder)
        if _too_old(version := _version(found)):
            raise Unusable(f"{found} is BIRD {version}: install BIRD 2 (Debian: bird2)")
        self._answer = answer
        self._owner = _owner()
        self.prepare()

    def prepare(self) -> None:
        """Have the folder, should somebody have removed it. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(self.folder, self._owner.user, self._owner.group)
        os.chmod(self.folder, 0o700)

    @property
    def options(self) -> tuple[str, ...]:
        """What it is started with, so that it runs as its own account."""
        return self._owner.options

    @property
    def socket(self) -> str:
        """The control socket's path."""
        return str(self.folder / SOCKET)

    async def connect(self) -> BirdControl:
        """A connection to the running BIRD. Raises BirdAway."""
        return await BirdControl.open(self.socket, self._answer)

    async def ask(self, command: str) -> Reply:
        """One command over a connection of its own. Raises BirdAway."""
        async with await self.connect() as control:
            return await control.ask(command)

    def in_force(self) -> str:
        """The configuration that BIRD was last given; "" for none that can be read."""
        try:
            return (self.folder / CONFIGURATION).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    async def install(self, text: str) -> None:
        """Put a configuration in the place of the last, once BIRD's parser has taken it.

        Raises Refused, and OSError where it could not be tried; then the last one stays.
        """
        if problem := await self.check(text):
            raise Refused(problem)
        os.replace(self.folder / CANDIDATE, self.folder / CONFIGURATION)

    async def check(self, text: str) -> str:
        """What BIRD's parser says against a text; "" if it takes it. Raises OSError."""
        self.prepare()
        candidate = self.folder / CANDIDATE
        self._write(candidate, text)
        problem = await asyncio.to_thread(self._check)
        if problem:
            candidate.unlink()
        return problem

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
                [self.program, "-p", "-c", CANDIDATE],
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as problem:
            raise TimeoutError(f"BIRD's parser did not end: {problem}") from None
        return "" if done.returncode == 0 else done.stderr.strip() or "no reason given"

    async def configure(self) -> None:
        """Have the running BIRD read its file again; sessions stay. Raises Refused, BirdAway."""
        reply = await self.ask("configure")
        if reply.failed:
            raise Refused(str(reply))
        if reply.texts(_IGNORED):
            raise BirdAway("it is shutting down")


def _version(program: str) -> str:
    """As it says itself; "" where it does not."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=5.0, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout + done.stderr)
    return found[1] if found else ""


def _too_old(version: str) -> bool:
    return version.startswith(("0.", "1."))


def _owner() -> _Owner:
    """BIRD's own account where there is one; as root it would have more rights than it needs."""
    try:
        account = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return _Owner(os.geteuid(), os.getegid(), ())
    if os.geteuid() != 0:
        return _Owner(os.geteuid(), os.getegid(), ())
    return _Owner(account.pw_uid, account.pw_gid, ("-u", _ACCOUNT, "-g", _ACCOUNT))
