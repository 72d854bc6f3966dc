"""Show what `tortie apply` would change.

  tortie diff -f policy.yaml

Each resource as it is stored and as it would be, where the two differ. Status 0 where nothing
would change, 1 where something would, 2 where anything is wrong.

  tortie diff --reach -f policy.yaml [--base manifests/]

Instead of fields: which pairs of workloads could open connections that they
can't open now, or the other way round.
"""

import argparse
from collections.abc import Iterator
from difflib import unified_diff

from tortie.api import Resource
from tortie.api.manifests import Manifests
from tortie.cli import configuration, datastore, selection, sources, writing
from tortie.cli.checking import fitting
from tortie.cli.errors import UserError, message_for
from tortie.cli.merging import without_bookkeeping
from tortie.cli.outcomes import title
from tortie.cli.terminal import complain, paint, warn
from tortie.datastore import Datastore, DatastoreError

NOTHING, DIFFERENT, WRONG = 0, 1, 2
_COLOURS = {"+": "green", "-": "red", "@": "dim"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and what to compare them with."""
    selection.add_file_options(parser, required=True)
    parser.add_argument("--reach", action="store_true", help="who gains or loses reach by it")
    parser.add_argument(
        "--base",
        metavar="FILE",
        action="append",
        default=[],
        help="with --reach: compare with these manifests, not with a datastore",
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="json: with --reach only"
    )
    selection.add_namespace_options(parser, everywhere=False)
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Compare; the status is kubectl's."""
    try:
        if options.reach:
            from tortie.cli.reaching import show_reach

            return show_reach(options)
        if options.base or options.output != "text":
            raise UserError("--base and -o json are for --reach")
        manifests = sources.read_options(options)
        return datastore.read_from(options, lambda store: _diff(store, manifests))
    except Exception as error:
        message = message_for(error)
        if message is None:
            raise
        warn(message)
        return WRONG


async def _diff(store: Datastore, manifests: Manifests) -> int:
    manifests = await fitting(store, manifests, writing.applying)
    status = NOTHING
    for resource in writing.in_order(located.resource for located in manifests.resources):
        try:
            change = await writing.applying(store, resource)
        except (DatastoreError, UserError) as error:
            warn(f"{title(resource.key)}: {error}")
            status = WRONG
            continue
        lines = list(_lines(change))
        if lines:
            print("\n".join(lines))
            status = max(status, DIFFERENT)
    return WRONG if complain(manifests.errors) else status


def _lines(change: writing.Change) -> Iterator[str]:
    """The difference as unified diff, coloured on a terminal."""
    if change.after is None or change.result == writing.UNCHANGED:
        return
    name = title(change.after.key)
    for line in unified_diff(
        _text(change.before),
        _text(change.after),
        f"stored   {name}" if change.before else "/dev/null",
        f"applied  {name}",
        lineterm="",
    ):
        bold = line.startswith(("--- ", "+++ "))
        style = "bold" if bold else _COLOURS.get(line[:1], "")
        yield paint(line, style) if style else line


def _text(resource: Resource | None) -> list[str]:
    from tortie.api import to_manifest
    from tortie.api.writing import yaml_text

    if resource is None:
        return []
    return yaml_text(to_manifest(without_bookkeeping(resource))).splitlines()
