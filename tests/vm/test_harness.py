"""The harness of the small virtual machine, seen from outside."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vm.features import missing
from vm.initramfs import in_order
from vm.kernel import Kernel, cached
from vm.machine import LEAST_MEMORY, QEMU, Guest

NOWHERE = Path("/nowhere")
CHECKOUT = Path(__file__).parents[2]


def test_a_module_comes_after_what_it_needs_and_once(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "k/a.ko: k/b.ko k/c.ko\nk/b.ko: k/c.ko\nk/c.ko:\nk/d.ko: k/c.ko\nk/e.ko:\n"
    )
    kernel = Kernel("1", NOWHERE, tmp_path, NOWHERE)
    assert [one.name for one in in_order(kernel, ("a", "d"))] == ["c.ko", "b.ko", "a.ko", "d.ko"]


def test_a_module_that_no_kernel_has_is_missing() -> None:
    assert missing(("no_such_module",)) == ["no_such_module"]


@pytest.fixture
def kernel() -> Kernel:
    found = cached()
    if found is None or shutil.which(QEMU) is None or os.geteuid() != 0:
        pytest.skip("no virtual machine here: `make test-vm` as root gets what it needs")
    return found


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that all processes of the run name; none of them is left at the end."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    deadline = time.monotonic() + 30
    while left := _processes(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _processes(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(one.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [one for one in found if str(folder) in one]


def test_a_job_has_the_hosts_files_and_only_its_results_stay(kernel: Kernel, own: Path) -> None:
    """What the guest changes elsewhere is in its memory; its exit code and its files come back."""
    lost = CHECKOUT / "lost-with-the-guest"
    job = f"cd {CHECKOUT} && touch {lost} && cp pyproject.toml /run/job/copy; exit 7"
    shown: list[str] = []
    ended = Guest(kernel, own, LEAST_MEMORY).run(job, 120, shown.append)
    assert ended.code == 7, ended.console
    assert (own / "copy").read_bytes() == (CHECKOUT / "pyproject.toml").read_bytes()
    assert not lost.exists()
    assert kernel.version in "".join(shown)


def test_a_job_that_takes_too_long_is_ended(kernel: Kernel, own: Path) -> None:
    assert Guest(kernel, own, LEAST_MEMORY).run("sleep 1000", 1, lambda _: None).code is None


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_runs_on_when_the_run_is_stopped(own: Path, how: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(own), "PYTHONPATH": str(CHECKOUT / "tests")}
    command = ["env", "--default-signal=INT"]  # a shell's background ignores it
    command += [sys.executable, "-m", "vm", "--results", str(own), "--", "--version"]
    with subprocess.Popen(command, env=environment, cwd=CHECKOUT) as run:
        deadline = time.monotonic() + 30
        while not any(QEMU in one for one in _processes(own)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run.send_signal(how)
        assert run.wait(30) != 0
    if how is not signal.SIGKILL:
        assert list(own.glob("tortie-vm-*")) == []
