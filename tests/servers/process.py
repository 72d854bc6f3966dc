"""Processes of real servers, which end with the test run whatever becomes of it."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

READY_SECONDS = 90.0


class NotStarted(Exception):
    """A server ended before it was ready, or did not become so; the message has its last lines."""


class PortTaken(NotStarted):
    """Somebody else took the port between our look and the server's start: take others."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], log: Path, ready: Callable[[], bool], seconds: float = READY_SECONDS
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is `ready`; killed at the end, and by the kernel if this process dies first.

    What it prints goes to `log`. Raises PortTaken, or NotStarted with the log's end.
    """
    process = start(command, log)
    try:
        wait_ready(process, log, ready, seconds)
        yield process
    finally:
        stop(process)


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """The process, which the kernel kills if the thread that started it ends."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait_ready(
    process: subprocess.Popen[bytes],
    log: Path,
    ready: Callable[[], bool],
    seconds: float = READY_SECONDS,
) -> None:
    """Wait until `ready`. Raises as `running` does."""
    deadline = time.monotonic() + seconds
    while not ready():
        ended = process.poll() is not None
        if ended and b"address already in use" in log.read_bytes().lower():
            raise PortTaken(f"{process.args!r}: address already in use")
        if ended or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2_000:]
            why = f"ended with {process.returncode}" if ended else f"not ready in {seconds} s"
            raise NotStarted(f"{process.args!r} {why}:\n{tail}")
        time.sleep(0.005)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it at once, as a crash does; also one that is stopped or ended already."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
