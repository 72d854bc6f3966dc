"""What becomes of each test in the guest, written down at once, as its time may end before them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_CHOSEN = "chosen"
_ENDED = "ended"
FAILED, OVER = "failed", "over"
IN_GUEST = Path("/run/job")


class Progress(NamedTuple):
    """Names of tests: of those that failed, and of those that had not ended."""

    failed: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    number: int = 0


def forget(folder: Path) -> None:
    """Have nothing of an earlier run there."""
    for name in (_CHOSEN, _ENDED):
        (folder / name).unlink(missing_ok=True)


def chosen(tests: Sequence[str], folder: Path = IN_GUEST) -> None:
    """These are to be run."""
    (folder / _CHOSEN).write_text("".join(f"{one}\n" for one in tests))


def note(what: str, test: str, folder: Path = IN_GUEST) -> None:
    """What became of a test: FAILED, OVER, or first one and then the other."""
    with (folder / _ENDED).open("a") as file:
        file.write(f"{what} {test}\n")


def read(folder: Path) -> Progress:
    """How far it has come."""
    tests = _lines(folder / _CHOSEN)
    notes = [line.partition(" ")[::2] for line in _lines(folder / _ENDED)]
    failed = dict.fromkeys(test for what, test in notes if what == FAILED)
    over = {test for what, test in notes if what == OVER}
    return Progress(tuple(failed), tuple(one for one in tests if one not in over), len(tests))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []
