"""Telling systemd of units that changed; nothing where it does not run."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

_RUNS = Path("/run/systemd/system")
_SECONDS = 120


class NotTold(Exception):
    """systemd refuses; the message has its words."""


def runs() -> bool:
    """Whether systemd is this machine's first process (sd_booted(3))."""
    return _RUNS.is_dir()


def started(units: Sequence[str], changed: Sequence[str]) -> list[str]:
    """Enable and start units, start those anew that `changed`; what was done. Raises NotTold."""
    done = []
    if changed:
        _tell("daemon-reload")
    for unit in units:
        if _answer("is-enabled", unit) != "enabled":
            _tell("enable", unit)
            done.append(f"enabled {unit}")
        if _answer("is-active", unit) != "active":
            _tell("start", unit)
            done.append(f"started {unit}")
        elif unit in changed:
            _tell("restart", unit)
            done.append(f"restarted {unit}")
    return done


def stopped(units: Sequence[str]) -> list[str]:
    """Stop and disable units; what was done. Raises NotTold."""
    done = []
    for unit in units:
        if _answer("is-active", unit) == "active" or _answer("is-enabled", unit) == "enabled":
            _tell("disable", "--now", unit)
            done.append(f"stopped {unit}")
    return done


def _answer(*words: str) -> str:
    return _run(*words).stdout.strip()


def _tell(*words: str) -> None:
    done = _run(*words)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise NotTold(f"systemctl {' '.join(words)}: {said}")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["systemctl", "--no-ask-password", *words],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NotTold(f"systemctl {words[0]}: {problem}") from None
