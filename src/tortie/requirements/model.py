"""What a check is made of, and what it finds. Pure data."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from tortie.requirements.machine import Machine
from tortie.requirements.modes import Modes


class Verdict(StrEnum):
    """What a finding means for the chosen modes."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"
    UNNEEDED = "unneeded"  # the chosen modes do without
    DOCUMENTED = "documented"  # nothing that a machine could say; the row has its reason


class Finding(NamedTuple):
    """What one check says of this machine. `fix` says what to do; empty where all is well."""

    verdict: Verdict
    found: str
    fix: str = ""


class Check(NamedTuple):
    """One requirement. `row` is its number; `needed` says for which modes, in words.

    `applies` says whether the chosen modes need it at all, and `trials` what of the kernel has to
    be tried for it. `judge` is asked only where it applies. `about` is its paragraph in
    docs/requirements.md: what is looked at, and why.
    """

    row: str
    what: str
    needed: str
    about: str
    judge: Callable[[Machine], Finding]
    trials: Sequence[str] = ()
    applies: Callable[[Modes], bool] = lambda _: True


class Documented(NamedTuple):
    """A row that no machine can be asked for, and the reason."""

    row: str
    what: str
    reason: str


class Result(NamedTuple):
    """A check's finding, for reports."""

    check: Check | Documented
    finding: Finding


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, found)


def warning(found: str, fix: str) -> Finding:
    """It works, or may work; somebody should look."""
    return Finding(Verdict.WARNING, found, fix)


def missing(found: str, fix: str) -> Finding:
    """The chosen modes can't do without."""
    return Finding(Verdict.MISSING, found, fix)
