"""Who stands still does so for as long as is said, and no longer."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cni.node import until
from stalls.standing import below, standing_still

_CHILD = "import time; time.sleep(600)"
_PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_CHILD!r}])"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has started one."""
    with subprocess.Popen([sys.executable, "-c", _PARENT]) as started:
        until(lambda: below(started.pid), "its child")
        (child,) = below(started.pid)
        yield started
        with subprocess.Popen(["kill", "-KILL", str(child)]) as end:
            end.wait()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_who_stands_still_is_let_go_whatever_happens(parent: subprocess.Popen[bytes]) -> None:
    (child,) = below(parent.pid)
    with suppress(RuntimeError), standing_still([child]):
        until(lambda: state(child) == "T", "it stands still")
        assert below(parent.pid) == set()  # it is no other's to stop, and to let go too soon
        raise RuntimeError
    until(lambda: state(child) != "T", "it goes on")
    assert below(parent.pid) == {child}


def test_who_is_gone_meanwhile_is_no_error(parent: subprocess.Popen[bytes]) -> None:
    (child,) = below(parent.pid)
    with standing_still([child, 1 << 22]):
        parent.kill()
        parent.wait()
    with standing_still([parent.pid]):
        pass
