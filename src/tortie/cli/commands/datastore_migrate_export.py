"""Write all that a datastore holds to a file, or to the standard output.

  tortie datastore migrate export -o cluster.jsonl

The datastore must be locked. The file has one JSON object a line, and a last line that
proves that it is whole; it comes to be with all of that or not at all. It can hold
what others should not read: keep it to yourself.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tortie.cli.migrating import add_options, run_on, shown


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which datastore, and where to."""
    parser.add_argument("-o", "--output", metavar="FILE", help="default: the standard output")
    add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Export it. Raises DatastoreError, OSError."""
    import tortie
    from tortie.datastore import Datastore
    from tortie.datastore.migrate.exporting import export

    async def work(store: Datastore) -> int:
        with _output(options.output) as file, shown() as progress:
            end = await export(store, file, tortie.__version__, progress)
        where = options.output or "the standard output"
        print(f"exported {end.objects} objects to {where}", file=sys.stderr)
        print(
            "next, with the other datastore: tortie datastore migrate import -f FILE --dry-run",
            file=sys.stderr,
        )
        return 0

    return run_on(options, work)


@contextmanager
def _output(name: str | None) -> Iterator[IO[bytes]]:
    """The file to write; one of a name is there at the end, whole and readable to its owner only.

    Raises OSError.
    """
    if not name or name == "-":
        yield sys.stdout.buffer
        return
    path = Path(name)
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
