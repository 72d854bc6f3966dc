"""Put an export into another datastore, which must hold nothing else.

  tortie datastore migrate import -f cluster.jsonl --dry-run
  tortie datastore migrate import -f cluster.jsonl

File and datastore are looked at first: whatever stands against it is named before
anything is written. Then the datastore is locked and written, and compared with the
file. It stays locked. After an interruption the same command goes on.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from tortie.cli.errors import UserError
from tortie.cli.migrating import add_options, run_on, shown
from tortie.cli.terminal import table

if TYPE_CHECKING:
    from tortie.datastore import Datastore
    from tortie.datastore.migrate.importing import Prepared
    from tortie.datastore.migrate.plan import Plan, Problem

_TOLD = 50  # problems of one sort


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which file, into which datastore."""
    parser.add_argument("-f", "--filename", required=True, metavar="FILE", help="- for the input")
    parser.add_argument("--dry-run", action="store_true", help="look only, and write nothing")
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="go on without what Kubernetes can only derive and has no source for; policies are"
        " never left out",
    )
    add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Import it. Returns 0 where both sides are equal. Raises DatastoreError, OSError."""

    async def work(store: "Datastore") -> int:
        with _input(options.filename) as file:
            return await _import(store, file, options)

    return run_on(options, work, new=True)


async def _import(store: "Datastore", file: IO[bytes], options: argparse.Namespace) -> int:
    from tortie.datastore.migrate.importing import prepare

    with shown() as progress:
        prepared = await prepare(store, file, progress)
    plan = prepared.plan
    _tell("note", plan.notes)
    _tell("left out" if options.leave_out else "can't be kept", plan.unkept)
    _tell("in the way", plan.blocked)
    if plan.blocked or (plan.unkept and not options.leave_out):
        raise UserError(_refusal(plan))
    if prepared.nothing_to_do:
        print(f"both sides are equal already: {prepared.end.objects} objects")
        return 0
    if options.dry_run:
        print(_counts(prepared))
        print("nothing stands against it; nothing was written")
        return 0
    await _carried_out(store, file, prepared)
    print(_counts(prepared))
    print(f"both sides are equal: {prepared.end.objects} objects. The datastore is locked")
    print("next: let the nodes follow it, then: tortie datastore migrate unlock")
    return 0


async def _carried_out(store: "Datastore", file: IO[bytes], prepared: "Prepared") -> None:
    """Write it, and compare. Raises UserError with how to go on."""
    from tortie.datastore import DatastoreError
    from tortie.datastore.migrate.importing import carry_out

    try:
        with shown() as progress:
            differences = await carry_out(store, file, prepared, progress)
    except DatastoreError as error:
        raise UserError(
            f"{error}. The datastore stays locked, with part of the file: mend that, then run the "
            "same import again, and it goes on"
        ) from None
    if differences.problems:
        _tell("differs", differences.problems)
        raise UserError(
            "the two sides differ, as said above; the datastore stays locked. Find out who writes "
            "to it, and run the import again"
        )


def _refusal(plan: "Plan") -> str:
    if plan.blocked:
        return "nothing was written: see above what is in the way"
    return (
        "nothing was written: see above what can't be kept. Make in Kubernetes what it follows "
        "from, or go on without by --leave-out"
    )


def _tell(what: str, lines: "Iterable[Problem | str]") -> None:
    found = list(lines)
    for line in found[:_TOLD]:
        print(f"{what}: {line}", file=sys.stderr)
    if len(found) > _TOLD:
        print(f"{what}: and {len(found) - _TOLD} more", file=sys.stderr)


def _counts(prepared: "Prepared") -> str:
    from collections import Counter

    plan = prepared.plan
    written = Counter(entry.key.kind for entry in plan.writes)
    unkept = Counter(problem.key.kind for problem in plan.unkept)
    columns: tuple[Mapping[str, int], ...] = (plan.objects, written, plan.equal, plan.follows)
    rows = [
        (kind, *(str(column.get(kind, 0)) for column in (*columns, unkept)))
        for kind in sorted(plan.objects)
    ]
    return table(("KIND", "FILE", "WRITTEN", "THERE", "DERIVED", "LEFT OUT"), rows)


@contextmanager
def _input(name: str) -> Iterator[IO[bytes]]:
    """The file, which is read more than once: the standard input is put aside first."""
    if name != "-":
        with open(name, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:  # nobody else can open it
        while part := sys.stdin.buffer.read(1 << 20):
            file.write(part)
        file.seek(0)
        yield file
