"""SQLite's errors as ours: which file, what is wrong with it, what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tortie.datastore.contract import Unavailable

DAMAGED = (
    "is damaged: stop what uses it, restore the file from a copy, remove those of its name with "
    "-wal, -shm and -bell at the end, start again"
)
_ADVICE = {
    sqlite3.SQLITE_BUSY: "is locked by another process for too long: retry, or end that process",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: check the path and its permissions",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_FULL: "has no room left on its disk: free some",
    sqlite3.SQLITE_IOERR: "can't be read or written: check the disk",
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_PERM: "may not be accessed: check its permissions",
    sqlite3.SQLITE_READONLY: "is read-only: check its permissions and the mount",
}


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn any error of SQLite or the file system into Unavailable with the file's name."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        advice = _ADVICE.get(code, "failed")
        raise Unavailable(f"the datastore {path} {advice} (SQLite: {error})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(f"the datastore {path} can't be used: {reason}") from error
