"""Rows of the table that the virtual machine has found, for the table of the tests after it.

`make test` boots it first. Its rows count only for the run that they were found in.
"""

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from network.table import Cells
from vm.features import in_guest

RUN = "TORTIE_RUN"  # names a run of `make test`
NAME = "modes.json"
_HERE = Path(__file__).parents[2] / "build" / "vm" / NAME
_IN_GUEST = Path("/run/job") / NAME  # the same file


class _Rows(NamedTuple):
    run: str
    cells: tuple[tuple[str, int, str, str], ...]


def keep(cells: Cells, path: Path = _IN_GUEST) -> None:
    """In the guest, leave them for who reads them outside, beside what is there."""
    if in_guest():
        all_of_it = read(path) | cells
        rows = _Rows(_run(), tuple((*place, found) for place, found in all_of_it.items()))
        path.write_bytes(msgspec.json.encode(rows))


def read(path: Path = _HERE) -> Cells:
    """What the guest has found in this run; nothing where it has not run, or not to the end."""
    if not _run():
        return {}
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=_Rows)
    except FileNotFoundError:
        return {}
    if rows.run != _run():
        return {}
    return {(mode, version, leg): found for mode, version, leg, found in rows.cells}


def absent(cells: Cells) -> list[str]:
    """A line that says where IPIP's rows are, if they are not among these."""
    if any(mode.startswith("ipip") for mode, _, _ in cells):
        return []
    return [
        "",
        "IPIP was not tried: `make test-vm-network` does, in the virtual machine",
    ]


def _run() -> str:
    return os.environ.get(RUN, "")
