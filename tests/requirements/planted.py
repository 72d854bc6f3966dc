"""A machine's files, planted below a folder."""

from collections.abc import Mapping
from pathlib import Path

from tortie.requirements.machine import Machine
from tortie.requirements.modes import Modes


def plant(root: Path, files: Mapping[str, str]) -> Machine:
    """A machine with these files alone."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(Modes(), root)


def running(*names: str) -> dict[str, str]:
    """What /proc shows of processes of these names."""
    return {f"proc/{number}/comm": f"{name}\n" for number, name in enumerate(names, 100)}
