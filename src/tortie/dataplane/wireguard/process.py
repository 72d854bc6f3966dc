"""wireguard-go, where the kernel has no WireGuard: a process for each device.

It outlives the agent, as a device of the kernel would, and ends when its device is deleted. It is
written down before it runs (see `tortie.linux.launcher`), so that a lab can end it. Its socket,
which it puts into /var/run/wireguard whoever else does so, is in the agent's own directory.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tortie.linux import launcher
from tortie.linux.processes import start_of
from tortie.linux.wguapi import UserspaceWireguard

_PROGRAM = "wireguard-go"
_ITS_PLACE = "/var/run/wireguard"
_QUIET = {"WG_PROCESS_FOREGROUND": "1"}  # else it praises the kernel's own WireGuard
_PATIENCE = 10.0  # seconds, on a busy machine
_MILDLY = 2.0  # seconds to end by itself
_POLL = 0.005


class NotStarted(OSError):
    """wireguard-go could not be started; the message is for people."""


def socket_of(directory: Path, device: str) -> Path:
    """Where the device's socket is."""
    return directory / f"{device}.sock"


def record_of(directory: Path, device: str) -> Path:
    """The file with "PID START" of the device's process."""
    return directory / f"{device}.pid"


def is_installed() -> bool:
    """Whether there is a wireguard-go to be started."""
    return shutil.which(_PROGRAM) is not None


def start(directory: Path, device: str, is_there: Callable[[], bool]) -> None:
    """Start it, and return once it answers and (`is_there`) its device is there. Raises OSError."""
    program = shutil.which(_PROGRAM)
    if program is None:
        raise NotStarted(0, f"{_PROGRAM} is not installed")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_of(directory, device).unlink(missing_ok=True)
    place = os.path.realpath(_ITS_PLACE)
    bind = ["--bind", str(directory), place]
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", launcher.__file__, *bind, program, "-f", device],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", os.defpath), "LOG_LEVEL": "error", **_QUIET},
        cwd="/",
        start_new_session=True,
    )
    assert child.stdin is not None
    with child.stdin as go:
        record_of(directory, device).write_text(f"{child.pid} {start_of(child.pid) or 0}")
        go.write(b"!")
    _await(directory, device, is_there, child)


def _await(
    directory: Path, device: str, is_there: Callable[[], bool], child: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + _PATIENCE
    path = socket_of(directory, device)
    while not (path.exists() and is_there() and _answers(path)):
        if child.poll() is not None:
            raise NotStarted(
                0, f"{_PROGRAM} ended with status {child.returncode}: it needs /dev/net/tun"
            )
        if time.monotonic() > deadline:
            child.kill()
            child.wait()
            raise NotStarted(0, f"{_PROGRAM} did not answer in {_PATIENCE:g} s")
        time.sleep(_POLL)
    child.returncode = 0  # not ours to wait for: it outlives us


def _answers(path: Path) -> bool:
    with suppress(OSError):
        UserspaceWireguard(path).read()
        return True
    return False


def _end(pid: int) -> None:
    """End a process that is known to be ours, whatever it does, and leave no zombie of our own."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            for number, seconds in ((signal.SIGTERM, _MILDLY), (signal.SIGKILL, _PATIENCE)):
                signal.pidfd_send_signal(pidfd, number)
                if poll.poll(seconds * 1000):
                    break
        finally:
            os.close(pidfd)


def end(directory: Path, device: str) -> None:
    """End the recorded process, if that very one still runs."""
    record = record_of(directory, device)
    with suppress(FileNotFoundError, ValueError):
        pid, started = map(int, record.read_text().split())
        if start_of(pid) == started:
            _end(pid)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    record.unlink(missing_ok=True)
    socket_of(directory, device).unlink(missing_ok=True)
