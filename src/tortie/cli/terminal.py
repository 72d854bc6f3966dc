"""Text for terminals: colour where it is wanted, tables that fit."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

STYLES = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: a terminal, and no NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style of STYLES where the stream (stdout) wants colour; else as it is."""
    if not wants_colour(stream or sys.stdout):
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned at the left, three blanks apart; nothing trails."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def warn(message: str) -> None:
    """One line to stderr."""
    print(f"tortie: {message}", file=sys.stderr)


def complain(errors: Sequence[object]) -> int:
    """Print every error of files to stderr; the exit status: 1 where there is any."""
    for error in errors:
        print(f"{paint('error:', 'red', sys.stderr)} {error}", file=sys.stderr)
    return 1 if errors else 0


def plural(count: int, noun: str) -> str:
    """One node, 3 nodes, 2 processes: with its number before it."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{ending}"
