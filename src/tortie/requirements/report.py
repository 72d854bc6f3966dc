"""A report for people, in a terminal's width, and for programs. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from tortie.requirements.model import Documented, Result, Verdict
from tortie.requirements.modes import Modes
from tortie.requirements.running import Report

_NARROWEST = 60
_HEADER = ("ROW", "VERDICT", "WHAT", "NEEDED FOR", "FOUND")
_MOST = (3, 7, 16, 18)  # columns of the first four
_GAP = "  "
_IN = "     "
STYLES: Mapping[Verdict, str] = {
    Verdict.OK: "green",
    Verdict.WARNING: "yellow",
    Verdict.MISSING: "red",
    Verdict.UNNEEDED: "dim",
    Verdict.DOCUMENTED: "dim",
}


def lines(report: Report, modes: Modes, width: int, with_all: bool) -> Iterator[str]:
    """The whole report. `with_all`: also rows that these modes don't need."""
    assumed = " (assumed: no pool says otherwise)" if modes.assumed else ""
    yield from wrap(modes.in_words + assumed, width)
    yield ""
    yield from table(report, width, with_all)
    yield ""
    yield from _end(report, width, with_all)


def table(report: Sequence[Result], width: int, with_all: bool) -> Iterator[str]:
    """A row for each finding; what to do stands below it."""
    hidden = () if with_all else (Verdict.UNNEEDED, Verdict.DOCUMENTED)
    shown = [one for one in report if one.finding.verdict not in hidden]
    rest = max(width, _NARROWEST) - sum(_MOST) - len(_GAP) * len(_MOST)
    yield _line(_HEADER)
    for one in shown:
        yield from _row(one, rest)


def _row(one: Result, rest: int) -> Iterator[str]:
    cells = (
        one.check.row,
        one.finding.verdict.value[: _MOST[1]],
        one.check.what,
        _needed(one),
    )
    columns = [wrap(cell, most) or [""] for cell, most in zip(cells, _MOST, strict=True)]
    columns.append(wrap(one.finding.found, rest) or [""])
    for place in range(max(map(len, columns))):
        yield _line([column[place] if place < len(column) else "" for column in columns])
    if one.finding.fix:
        width = sum(_MOST) + len(_GAP) * len(_MOST) + rest
        yield from wrap(f"do: {one.finding.fix}", width, initial_indent=_IN, subsequent_indent=_IN)


def _needed(one: Result) -> str:
    return "" if isinstance(one.check, Documented) else one.check.needed


def _line(cells: Sequence[str]) -> str:
    fixed = (cell.ljust(most) for cell, most in zip(cells, _MOST, strict=False))
    return _GAP.join((*fixed, cells[-1])).rstrip()


def _end(report: Report, width: int, with_all: bool) -> Iterator[str]:
    counts = {
        verdict: [one for one in report if one.finding.verdict is verdict] for verdict in Verdict
    }
    told = (Verdict.MISSING, Verdict.WARNING, Verdict.OK)
    yield ", ".join(f"{len(counts[verdict])} {verdict}" for verdict in told)
    if with_all:
        return
    for verdict, words in (
        (Verdict.UNNEEDED, "not needed for these modes"),
        (Verdict.DOCUMENTED, "documented only"),
    ):
        rows = [f"{one.check.row} {one.check.what}" for one in counts[verdict]]
        yield from wrap(f"{words}: {', '.join(rows)}" if rows else "", width)


def data(report: Report, modes: Modes) -> dict[str, Any]:
    """The same for programs: `-o json`."""
    return {
        "status": report.status,
        "modes": {
            "for": modes.purpose.value,
            "dataplane": modes.dataplane.value,
            "encap": sorted(one.value for one in modes.encaps),
            "assumed": modes.assumed,
        },
        "rows": [
            {
                "row": one.check.row,
                "what": one.check.what,
                "neededFor": _needed(one) or None,
                "found": one.finding.found,
                "verdict": one.finding.verdict.value,
                "fix": one.finding.fix or None,
            }
            for one in report
        ],
    }
