"""Matrices on a terminal."""

import shutil
from collections.abc import Collection, Sequence

from tortie.cli.terminal import paint
from tortie.lab.matrix import Flow, Matrix
from tortie.lab.picture import LEGEND, REACHED, SILENT, STRANGER, compact, ports_legend
from tortie.lab.truth import Mismatch

_STYLES = {REACHED: "green", SILENT: "dim", STRANGER: "red"}
_MOST_LISTED = 40


def print_matrix(matrix: Matrix, changed: Collection[Flow] = ()) -> None:
    """The compact table; cells of `changed` stand out where there is colour."""

    def mark(flow: Flow, sign: str) -> str:
        return paint(sign, "yellow" if flow in changed else _STYLES.get(sign, "dim"))

    print(compact(matrix, max(80, shutil.get_terminal_size().columns), mark))


def print_legend(matrix: Matrix) -> None:
    """What the signs stand for."""
    print(f"{LEGEND}\none sign for each port of a column:\n{ports_legend(matrix)}")


def report_mismatches(checked: int, wrong: Sequence[Mismatch]) -> None:
    """How many were as expected, and which were not."""
    for mismatch in wrong[:_MOST_LISTED]:
        print(f"{paint('wrong:', 'red')} {mismatch}")
    if len(wrong) > _MOST_LISTED:
        print(f"… and {len(wrong) - _MOST_LISTED} more")
    print(f"{checked - len(wrong)}/{checked} probes as expected")


def changes_by_source(before: Matrix, changed: Sequence[Flow]) -> list[str]:
    """A line for each source: what it lost (before a "-") and gained ("+")."""
    lines: dict[str, list[str]] = {}
    for flow in changed:
        sign = "-" if before.reached(flow) else "+"
        target = f"{sign}{flow.destination.rpartition('/')[2]}:{flow.port}"
        lines.setdefault(flow.source, []).append(target)
    return [f"{source}: {' '.join(targets)}" for source, targets in lines.items()]
