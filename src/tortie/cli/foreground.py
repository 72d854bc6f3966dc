"""What a supervisor starts ends in one line where it can't go on, and with status 1.

Not `tortie: …` by the command line's own door (`errors`): several of these write into one journal,
and the line says which of them it was.
"""

import sys
from collections.abc import Callable


def ended(command: str, work: Callable[[], None], *expected: type[Exception]) -> int:
    """Do the work; the exit status. What is `expected` is for people, as is what a datastore and
    the system say; anything else is a defect and keeps its traceback."""
    from tortie.datastore import DatastoreError

    told: tuple[type[Exception], ...] = (DatastoreError, OSError, *expected)
    try:
        work()
    except told as problem:
        print(f"tortie {command}: {problem}", file=sys.stderr)
        return 1
    return 0
