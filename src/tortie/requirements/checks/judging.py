"""What trials mean, said once for the checks of the kernel."""

from collections.abc import Sequence

from tortie.requirements.machine import Machine
from tortie.requirements.model import Finding, missing, ok, warning
from tortie.requirements.tried import forbidden, lacking

_SHOWN = 4


def judge_trials(machine: Machine, names: Sequence[str], found: str, fix: str) -> Finding:
    """All have to work. `found` is said where they do, `fix` where one is not there."""
    absent = lacking(machine.tried, names)
    if absent:
        return missing(_shown(absent, machine), fix)
    return untried(machine, names) or ok(found)


def untried(machine: Machine, names: Sequence[str]) -> Finding | None:
    """The finding where we had no right to try some of these."""
    closed = forbidden(machine.tried, names)
    if not closed:
        return None
    words = machine.tried[closed[0]].words
    count = f"{len(closed)} of {len(names)} things" if len(names) > 1 else "it"
    return warning(f"{count} can't be tried: {words}", "run it as root, privileged")


def _shown(names: Sequence[str], machine: Machine) -> str:
    """The first of what is missing, with what the kernel said of the first."""
    told = [name.split(":")[-1] for name in names]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    shown = ", ".join(dict.fromkeys(told[:_SHOWN]))
    return f"{shown}{more} can't be made: {machine.tried[names[0]].words}"
