"""How a long step of somebody else's program is shown, and bounded in time."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_EVERY = 10.0  # seconds between lines where nobody watches a terminal


class Report:
    """Lines of one step on standard error, each with its name before it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        start = "\r\x1b[K" if self._terminal else ""
        print(f"{start}{self._name}: {text}", file=sys.stderr, flush=True)

    def show(self, text: str) -> None:
        """What goes on just now: the same line anew on a terminal, else a line now and then."""
        if self._terminal:
            print(f"\r\x1b[K{self._name}: {text}"[:100], end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            self.say(text)


def follow(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    report: Report,
    most: float,
    silent: float,
) -> str:
    """Run `go build -v`; why it failed, in one line, or an empty text.

    It is ended, with its compilers, after `most` seconds or `silent` seconds without a line.
    """
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        said = _Said()
        try:
            for line in _lines(process, time.monotonic() + most, silent):
                said.take(line)
                report.show(said.progress())
            return "" if process.wait() == 0 else said.reason()
        except TimeoutError as error:
            return f"{error}: {said.reason()}"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _lines(process: "subprocess.Popen[bytes]", deadline: float, silent: float) -> Iterator[str]:
    """What it writes to its standard error. Raises TimeoutError."""
    assert process.stderr is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            left = min(silent, deadline - time.monotonic())
            if left <= 0 or not selector.select(left):
                raise TimeoutError("it took too long")
            chunk = os.read(process.stderr.fileno(), 65536)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
            if not chunk:
                yield rest.decode(errors="replace")
                return


class _Said:
    """What a build has said so far: steps are counted, the rest tells why it fails."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._downloaded = 0
        self._compiled = 0
        self._others: list[str] = []

    def take(self, line: str) -> None:
        if line.startswith("go: downloading "):
            self._downloaded += 1
        elif "/" in line and " " not in line:
            self._compiled += 1
        elif line.strip() and len(self._others) < 5:
            self._others.append(line.strip())

    def progress(self) -> str:
        seconds = time.monotonic() - self._started
        return (
            f"{self._downloaded} modules downloaded, {self._compiled} packages compiled, "
            f"{seconds:.0f} s"
        )

    def reason(self) -> str:
        return " ".join(self._others)[:300] or "Go gave no reason"
