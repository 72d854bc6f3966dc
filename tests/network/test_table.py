"""The table is printed whole: rows of the virtual machine, and of workers without a terminal."""

import subprocess
import sys
from pathlib import Path

import pytest

from network import guest_rows
from network.guest_rows import RUN
from network.table import LEGS, Cells, lines
from vm.features import IN_GUEST

CHECKOUT = Path(__file__).parents[2]
ALWAYS = {("ipip Always", 4, "same node"): "local 1480"}
CROSS = {("ipip CrossSubnet", 4, "same node"): "local 1480"}


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a guest in the run "mine"; what tests two files of it, one after the other."""
    path = tmp_path / guest_rows.NAME
    monkeypatch.setenv(RUN, "mine")
    with monkeypatch.context() as guest:
        guest.setenv(IN_GUEST, "480")
        guest_rows.keep(ALWAYS, path)
        guest_rows.keep(CROSS, path)
    return path


def test_rows_of_the_guest_are_in_the_table_of_the_same_run(rows: Path) -> None:
    assert guest_rows.read(rows) == ALWAYS | CROSS
    assert guest_rows.absent(guest_rows.read(rows)) == []


@pytest.mark.parametrize("run", ["another", ""])
def test_rows_of_another_run_are_not(rows: Path, monkeypatch: pytest.MonkeyPatch, run: str) -> None:
    monkeypatch.setenv(RUN, run)
    assert guest_rows.read(rows) == {}


def test_a_table_without_ipip_says_how_to_get_it(rows: Path) -> None:
    assert "test-vm-network" in "".join(guest_rows.absent(guest_rows.read(rows.with_name("none"))))


def test_outside_of_the_guest_nothing_is_left_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(IN_GUEST, raising=False)
    guest_rows.keep(ALWAYS, tmp_path / guest_rows.NAME)
    assert list(tmp_path.iterdir()) == []


def test_a_row_tells_every_leg_in_80_columns() -> None:
    row = "vxlan CrossSubnet alone"
    cells: Cells = {(row, 6, leg): f"wireguard {n}" for n, leg in enumerate(LEGS)}
    cells[row, 6, "same node"] = "local 0"
    told = lines(cells)
    assert max(map(len, told)) <= 80
    assert told[-2].split() == ["vxlan", "CrossSubnet", "local", *["wireguard"] * 5]
    assert told[-1].split() == ["IPv6", "alone", *"012345"]


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "in a worker"])
def test_a_table_is_printed_at_the_end(tmp_path: Path, workers: tuple[str, ...]) -> None:
    test = tmp_path / "test_told.py"
    test.write_text(
        "from network.told import tell\n"
        "def test_told(request): tell(request.config, 'mode  same node')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "network.told", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *workers, f"--rootdir={tmp_path}", "-c", "/dev/null", str(test)],
        env={"PYTHONPATH": str(CHECKOUT / "tests"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.count("mode  same node") == 1, done.stdout + done.stderr
