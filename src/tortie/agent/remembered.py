"""What the datastore said of settings, kept in the run directory for the next start.

Without it an agent that starts while the datastore is away would guard other interfaces than the
ones that are there, or serve no health page.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tortie.engine.configuration import Source

_NAME = "settings.json"
_MOST = 1 << 20  # bytes


class Remembered:
    """The file of one run directory. Nothing but this process writes there."""

    def __init__(self, run_dir: str) -> None:
        self._path = Path(run_dir, _NAME)

    def load(self) -> tuple[Source, ...]:
        """What was kept; nothing where there is no file, or one that can't be read."""
        try:
            with self._path.open("rb") as file:
                return tuple(msgspec.json.decode(file.read(_MOST), type=list[Source]))
        except (OSError, ValueError):  # a file of another release: the datastore will say it again
            return ()

    def keep(self, told: Sequence[Source]) -> None:
        """Replace what was kept, at once and as a whole. Raises OSError."""
        if (wanted := msgspec.json.encode(told)) == self._found():
            return
        staging = self._path.with_suffix(".new")
        staging.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(staging, flags, 0o600), "wb") as file:
            file.write(wanted)
        staging.rename(self._path)

    def _found(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError:
            return b""
