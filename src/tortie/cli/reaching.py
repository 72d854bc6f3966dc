"""`diff --reach`: who gains or loses reach by what files would change."""

import argparse
import json
from collections.abc import Iterator, Sequence

from tortie.cli import whatif
from tortie.cli.terminal import paint, plural
from tortie.trace.completing import completed
from tortie.trace.reach import Change, as_words, differences

NOTHING, DIFFERENT = 0, 1


def show_reach(options: argparse.Namespace) -> int:
    """Compare and print. Raises UserError, DatastoreError."""
    changes = _changes(options)
    if options.output == "json":
        print(json.dumps([_data(change) for change in changes], indent=2))
    else:
        print("\n".join(_lines(changes)))
    return DIFFERENT if changes else NOTHING


def _changes(options: argparse.Namespace) -> list[Change]:
    new = whatif.read(options.filename, options.namespace)
    if options.base:
        now = completed(whatif.read(options.base, options.namespace))
    else:
        now = whatif.stored(options)
    return differences(whatif.built(now), whatif.built(completed(new, now)))


def _lines(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        yield f"{change.source} -> {change.destination}"
        if change.gained:
            yield paint(f"  + {as_words(change.gained)}", "green")
        if change.lost:
            yield paint(f"  - {as_words(change.lost)}", "red")
    gained = sum(bool(change.gained) for change in changes)
    lost = sum(bool(change.lost) for change in changes)
    yield f"{plural(gained, 'pair')} would gain reach, {plural(lost, 'pair')} would lose some"


def _data(change: Change) -> dict[str, str]:
    return {
        "from": change.source,
        "to": change.destination,
        "gained": as_words(change.gained),
        "lost": as_words(change.lost),
    }
