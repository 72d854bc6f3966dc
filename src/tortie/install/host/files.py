"""Which files a host gets, as they should be."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tortie.install.host.settings import settings_text
from tortie.install.host.units import DAEMONS, MADE, SETTINGS, Daemon, unit_text

UNITS = "/etc/systemd/system"
FOLDERS = {"/etc/tortie": 0o755, "/var/lib/tortie": 0o700, "/var/lib/calico": 0o755}


class Change(NamedTuple):
    """What is different: `what` is "create", "change", "remove" or "" (it is as it should be)."""

    path: str
    what: str
    wanted: str = ""
    mode: int = 0o644

    @property
    def is_needed(self) -> bool:
        """Whether there is something to do."""
        return bool(self.what)


def chosen(names: Sequence[str]) -> list[Daemon]:
    """The daemons of these names ("agent", "bgp"). Raises KeyError for others."""
    known = {daemon.command: daemon for daemon in DAEMONS}
    return [known[name] for name in names]


def installing(
    root: Path, daemons: Sequence[Daemon], settings: dict[str, str], program: str
) -> list[Change]:
    """What has to become different below `root`; units of daemons that are not wanted go."""
    found = [_folder(root, path, mode) for path, mode in FOLDERS.items()]
    text = settings_text(_read(root, SETTINGS), settings)
    found.append(_file(root, SETTINGS, text, 0o600))  # there may be a password in it
    for daemon in DAEMONS:
        path = f"{UNITS}/{daemon.unit}.service"
        if daemon in daemons:
            found.append(_file(root, path, unit_text(daemon, program), 0o644))
        elif _is_ours(root, path):
            found.append(Change(path, "remove"))
    return found


def removing(root: Path, *, with_settings: bool) -> list[Change]:
    """What has to go: our units, and our settings where they are to go too."""
    paths = [f"{UNITS}/{daemon.unit}.service" for daemon in DAEMONS]
    found = [Change(path, "remove") for path in paths if _is_ours(root, path)]
    if with_settings and os.path.lexists(_at(root, SETTINGS)):
        found.append(Change(SETTINGS, "remove"))
    return found


def write(root: Path, changes: Sequence[Change]) -> None:
    """Make it so. Raises OSError."""
    for change in changes:
        if change.is_needed:
            _write(_at(root, change.path), change)


def _write(path: Path, change: Change) -> None:
    if change.what == "remove":
        path.unlink(missing_ok=True)
    elif change.path in FOLDERS:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(change.mode)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = path.with_name(f".{path.name}.new")
        staging.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(staging, flags, change.mode), "w", encoding="utf-8") as file:
            file.write(change.wanted)
        staging.chmod(change.mode)
        staging.replace(path)


def _folder(root: Path, path: str, mode: int) -> Change:
    found = _at(root, path)
    if not found.is_dir():
        return Change(path, "create", mode=mode)
    right = found.stat().st_mode & 0o7777 == mode
    return Change(path, "" if right else "change", mode=mode)


def _file(root: Path, path: str, wanted: str, mode: int) -> Change:
    found = _at(root, path)
    if not found.is_file():
        return Change(path, "create", wanted, mode)
    right = _read(root, path) == wanted and found.stat().st_mode & 0o7777 == mode
    return Change(path, "" if right else "change", wanted, mode)


def _is_ours(root: Path, path: str) -> bool:
    return _read(root, path).startswith(MADE)


def _read(root: Path, path: str) -> str:
    try:
        return _at(root, path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _at(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
