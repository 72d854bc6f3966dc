"""Telling one process from another that was given the same PID later."""

from pathlib import Path

_STATE, _START = 0, 19  # fields of /proc/PID/stat, counted after the command's name


def start_of(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 1 :].split()  # the command's name may hold anything
    return None if fields[_STATE] in "ZX" else int(fields[_START])
