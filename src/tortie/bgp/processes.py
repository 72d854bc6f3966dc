"""BIRD as a process: found by the folder that it runs in, held, waited for, killed."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from types import TracebackType

CONFIGURATION = "bird.conf"
SOCKET = "bird.ctl"
WORDS = ("-f", "-c", CONFIGURATION, "-s", SOCKET)
"""What a BIRD of ours is started with; its parser, in the same folder, has others."""

_PROC = Path("/proc")


class Process:
    """A process, held by a descriptor: its number can't come to mean another one."""

    def __init__(self, number: int) -> None:
        """Raises ProcessLookupError, OSError."""
        self.number = number
        self._descriptor = os.pidfd_open(number)

    async def ended(self) -> None:
        """Return once it has ended, be it our child or not."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._descriptor, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(self._descriptor)

    def kill(self) -> None:
        """End it whatever it does; nothing where it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)


def running_in(folder: Path) -> list[int]:
    """The BIRDs of ours that run in a folder, also those whose socket, or folder, is gone."""
    found = []
    for each in _PROC.iterdir():
        with suppress(OSError):  # it ended meanwhile, or is a kernel thread
            if each.name.isdecimal() and _words(each) == WORDS and _is_in(each, folder):
                found.append(int(each.name))
    return sorted(found)


def _is_in(process: Path, folder: Path) -> bool:
    """By the folder itself, which a container may know by another name; a removed one by name."""
    place = process / "cwd"
    if os.readlink(place) == f"{folder.resolve()} (deleted)":
        return True
    return folder.exists() and os.path.samefile(place, folder)


def _words(process: Path) -> tuple[str, ...]:
    words = (process / "cmdline").read_text(errors="replace").split("\0")
    return tuple(words[1 : 1 + len(WORDS)])


async def kill(number: int) -> None:
    """Kill a process and return once it has ended. Raises OSError."""
    with suppress(ProcessLookupError), Process(number) as process:
        process.kill()
        await process.ended()
