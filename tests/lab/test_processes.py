"""Processes that outlive us, and the end of exactly those."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tortie.lab.journal import Journal, Process
from tortie.lab.processes import end, is_alive, resident_bytes, spawn
from tortie.linux import launcher
from tortie.linux.namespaces import create_named, delete_named, path_of
from tortie.linux.processes import start_of

pytestmark = pytest.mark.root
LAUNCHER = Path(launcher.__file__)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal("x", tmp_path)
    found.create(1)
    yield found
    end(found.processes())


@pytest.fixture
def netns() -> Iterator[str]:
    name = f"tortie-test-processes-{os.getpid()}"
    create_named(name)
    yield name
    delete_named(name)


def output_of(journal: Journal, role: str, process: Process) -> str:
    """What it has said, once it has ended."""
    wait_for_end(process)
    return journal.log(role).read_text()


def wait_for_end(process: Process) -> None:
    """Return when it has ended."""
    pidfd = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(60_000), f"{process} goes on"
    os.close(pidfd)


def test_it_runs_inside_the_namespace_and_its_output_goes_to_its_log(
    journal: Journal, netns: str
) -> None:
    show = "import os; print(os.stat('/proc/self/ns/net').st_ino, os.getsid(0) == os.getpid())"
    process = spawn(journal, "show", netns, [sys.executable, "-c", show])
    inode = path_of(netns).stat().st_ino
    assert output_of(journal, "show", process) == f"{inode} True\n"


def test_it_is_written_down_with_its_start(journal: Journal, netns: str) -> None:
    process = spawn(journal, "wait", netns, [sys.executable, "-c", "import time; time.sleep(60)"])
    assert journal.process("wait") == process
    assert is_alive(process)
    assert resident_bytes(process) > 0


def test_it_has_the_environment_given_and_no_other(journal: Journal, netns: str) -> None:
    show = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"
    command = [sys.executable, "-I", "-c", show]
    process = spawn(journal, "show", netns, command, {"ONLY": "this"})
    assert output_of(journal, "show", process) == "['ONLY']\n"


def test_ending_ends_it_even_if_it_ignores_sigterm(
    journal: Journal, netns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tortie.lab.processes._PATIENCE", 0.3)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('here', flush=True); time.sleep(60)"
    )
    process = spawn(journal, "stubborn", netns, [sys.executable, "-c", stubborn])
    deadline = time.monotonic() + 60
    while not journal.log("stubborn").read_text():
        assert time.monotonic() < deadline, "it does not start"
        time.sleep(0.005)
    end([process])
    assert not is_alive(process)


def test_another_process_of_the_same_pid_is_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        start = start_of(other.pid)
        assert start is not None
        end([Process("gone", other.pid, start - 1)])
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_one_that_has_ended_is_no_error(journal: Journal, netns: str) -> None:
    process = spawn(journal, "short", netns, [sys.executable, "-c", ""])
    wait_for_end(process)
    assert not is_alive(process)
    end([process])
    assert start_of(process.pid) is None


def test_nothing_runs_if_whoever_starts_it_dies_before_it_is_written_down() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER), sys.executable, "-c", "print('ran')"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, b"")
