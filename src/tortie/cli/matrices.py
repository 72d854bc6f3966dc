"""Matrices on a terminal."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from textwrap import wrap

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


def changes_by_source(after: Matrix, changed: Sequence[Flow]) -> list[str]:
    """Lines of up to 80 characters: for each source whom it reaches no longer, or now."""
    ports = {party.name: len(party.ports) for party in after.parties}
    lines = []
    for source in dict.fromkeys(flow.source for flow in changed):
        for verb, reached in (("no longer reaches", False), ("now reaches", True)):
            flows = [f for f in changed if f.source == source and after.reached(f) == reached]
            if flows:
                text = f"{source} {verb} {_targets(flows, ports)}"
                lines += wrap(text, 80, initial_indent="  ", subsequent_indent="      ")
    return lines


def _targets(flows: Sequence[Flow], ports: Mapping[str, int]) -> str:
    """ "db tcp/80, outside-2": a name alone stands for all its ports."""
    grouped: dict[str, list[str]] = {}
    for flow in flows:
        grouped.setdefault(flow.destination, []).append(str(flow.port))
    parts = []
    for name, numbers in grouped.items():
        which = "" if len(numbers) == ports[name] else f" {' '.join(numbers)}"
        parts.append(name.rpartition("/")[2] + which)
    return ", ".join(parts)
