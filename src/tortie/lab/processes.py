"""Start processes that outlive us, and end exactly those.

A process is known by its PID and its start time. Signals go through a pidfd that is opened before
the start time is compared: no other process can be hit, whatever the kernel does with the PID.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from tortie.lab.journal import Journal, Process
from tortie.linux import launcher
from tortie.linux.namespaces import in_namespace, path_of
from tortie.linux.processes import start_of

_LAUNCHER = Path(launcher.__file__)
_PATIENCE = 5.0  # seconds from SIGTERM to SIGKILL
_SCHEDULED = 30.0  # seconds in which a machine, however busy, runs a killed process to its end


def spawn(
    journal: Journal,
    role: str,
    netns: str | None,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start a command inside a named namespace, or (None) in our own.

    Its output goes to the role's log.
    It is written down before it runs. Any earlier process of the role must have ended.
    """
    place = in_namespace(path_of(netns)) if netns else nullcontext()
    with journal.log(role).open("ab") as log, place:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=dict(environment or {}),
            cwd="/",
            start_new_session=True,
        )
    assert child.stdin is not None
    with child.stdin as go:
        process = Process(role, child.pid, start_of(child.pid) or 0)
        journal.record_process(process)
        go.write(b"!")
    child.returncode = 0  # not ours to wait for: it outlives us
    return process


def is_alive(process: Process | None) -> bool:
    """Whether that very process runs."""
    return process is not None and start_of(process.pid) == process.start


def resident_bytes(process: Process) -> int:
    """Its resident memory; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def end(processes: Iterable[Process]) -> None:
    """SIGTERM to all, SIGKILL to those that stay, and return when all have ended."""
    descriptors = {pidfd: process for process in processes if (pidfd := _open(process)) is not None}
    try:
        for signal_number, patience in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, _SCHEDULED)):
            for pidfd in descriptors:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal_number)
            _await_end(descriptors, patience)
    finally:
        for pidfd in descriptors:
            os.close(pidfd)


def kill(processes: Iterable[Process]) -> None:
    """SIGKILL to all, as if the power went; return when all have ended."""
    descriptors = {pidfd: process for process in processes if (pidfd := _open(process)) is not None}
    try:
        for pidfd in descriptors:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _await_end(descriptors, _SCHEDULED)
    finally:
        for pidfd in descriptors:
            os.close(pidfd)


def _open(process: Process) -> int | None:
    """A pidfd of that very process; None where it has ended."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if start_of(process.pid) == process.start:
        return pidfd
    os.close(pidfd)
    _reap(process)
    return None


def _await_end(descriptors: dict[int, Process], patience: float) -> None:
    """Wait until all have ended, or the time is up; those that have are taken out."""
    deadline = time.monotonic() + patience
    while descriptors and (left := deadline - time.monotonic()) > 0:
        poll = select.poll()
        for pidfd in descriptors:
            poll.register(pidfd, select.POLLIN)
        for pidfd, _ in poll.poll(left * 1000):
            _reap(descriptors.pop(pidfd))
            os.close(pidfd)


def _reap(process: Process) -> None:
    """Where it was a child of this very process, leave no zombie."""
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
