"""What the commands that make bundles share: where one goes, and how far it has come."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tortie.cli.errors import UserError
from tortie.cli.terminal import plural, wants_colour

if TYPE_CHECKING:
    from tortie.diagnostics.items import Item


def add_folder_option(parser: argparse.ArgumentParser) -> None:
    """Where the bundle goes."""
    parser.add_argument(
        "--output-dir", metavar="DIR", default=".", help="where to write it (default: here)"
    )


def bundle(options: argparse.Namespace, title: str, items: Sequence["Item"]) -> int:
    """Write it, say where, and what it lacks. Raises UserError."""
    from tortie.diagnostics.bundle import write_bundle

    told = _Told(len(items))
    try:
        done = write_bundle(Path(options.output_dir), title, items, told)
    except OSError as error:
        raise UserError(f"{options.output_dir} can't be written to: {error.strerror}") from None
    finally:
        told.end()
    print(f"{done.path}: {plural(done.items, 'item')}")
    if done.problems:
        some = ", ".join(one.name for one in done.problems[:4])
        more = f" and {len(done.problems) - 4} more" if len(done.problems) > 4 else ""
        print(f"could not be had: {some}{more} (README in it says why)")
    print("keys, tokens and passwords were taken out; look through it before you hand it on")
    return 0


class _Told:
    """How far it has come: one line that changes, on a terminal only."""

    def __init__(self, items: int) -> None:
        self._items, self._done = items, 0
        self._shown = wants_colour(sys.stderr)

    def __call__(self, name: str) -> None:
        self._done += 1
        if self._shown:
            print(f"\r\x1b[K{self._done}/{self._items} {name[:60]}", end="", file=sys.stderr)

    def end(self) -> None:
        """Leave no half line."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr)
