"""The one thing that is written, and only where it is asked for: NetworkManager's configuration."""

import os
import tempfile
from pathlib import Path

from tortie.requirements.checks.n4_networkmanager import FILE, TEXT, texts, unguarded
from tortie.requirements.machine import Machine

_OWN = "etc/NetworkManager/conf.d/tortie.conf"
_MODE = 0o644


def fix_networkmanager(machine: Machine) -> Path | None:
    """Have NetworkManager leave our interfaces alone; the file written, None where none had to be.

    A calico.conf that somebody has already is left as it is, and another file is written beside it.
    Raises OSError.
    """
    if not unguarded(texts(machine)):
        return None
    if not machine.path(FILE).parent.parent.is_dir():
        return None  # NetworkManager is not installed
    taken = machine.path(FILE)
    path = machine.path(_OWN) if taken.exists() and taken.read_text() != TEXT else taken
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _write(path, TEXT)
    return path


def _write(path: Path, text: str) -> None:
    """Whole, or not at all: it gets its name when it is complete and on the disk."""
    handle, staging = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, _MODE)
            os.fsync(handle)
        os.replace(staging, path)
    except OSError:
        Path(staging).unlink(missing_ok=True)
        raise
