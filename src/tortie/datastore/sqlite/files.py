"""What lies on disk: the database, its permissions, its schema and its version.

The change log keeps whole values, so that a watcher sees every change and not only the last one.
It is bounded by the session that writes; `state.compacted` is the last revision that it lost,
`state.logged` how many bytes of values it holds.
"""

import os
import random
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from tortie.datastore.contract import Unavailable
from tortie.datastore.sqlite.clapper import bell_path
from tortie.datastore.sqlite.errors import named

SCHEMA_VERSION = 2
APPLICATION_ID = 0x546F7274  # "Tort", in the header of the file: tells our files from others
BUSY_SECONDS = 10.0  # how long an operation waits for another process's transaction

_SCHEMA = """
CREATE TABLE state (
    identity TEXT NOT NULL, revision INTEGER NOT NULL, compacted INTEGER NOT NULL,
    logged INTEGER NOT NULL
);
CREATE TABLE objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, uid TEXT NOT NULL, created TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, name)
);
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, value BLOB
);
"""
_MIGRATIONS = {
    1: """
ALTER TABLE state ADD COLUMN logged INTEGER NOT NULL DEFAULT 0;
UPDATE state SET logged = (SELECT coalesce(sum(length(value)), 0) FROM changes)
""",  # the bytes in the change log, which were counted by reading it
}
"""What makes a schema of a version one of the next. Writers of the older one may still be running:
what they do must stay right."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the store at `path`, made there if nothing is. Raises Unavailable.

    Commits are durable against the death of any process; against a power cut the file stays
    consistent but may lose the last commits (synchronous=NORMAL, see docs/datastore.md).
    """
    with named(path):
        _prepare_files(path)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _check_owner(connection, path)
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            _ensure_schema(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare_files(path: Path) -> None:
    # SQLite gives -wal and -shm the mode of the database, so making that 0600 first is enough.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (path, bell_path(path)):
        # Never opened here: to close a database lets go of all locks that this process has on it,
        # and the next process that closes its own takes the log away from under us. To close a
        # bell rings it.
        with suppress(FileExistsError):
            os.mknod(file, 0o600 | stat.S_IFREG)
        if stat.S_IMODE(os.stat(file).st_mode) != 0o600:
            os.chmod(file, 0o600)
        if not os.access(file, os.R_OK | os.W_OK):  # SQLite would say "unable to open" only
            raise Unavailable(
                f"the datastore {path} is read-only for user {os.getuid()}, and to read it too "
                f"takes writing beside it: check the permissions of {file} and the mount"
            )


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    # In this order: another first opener may commit in between, tables and id at once.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and application != APPLICATION_ID:
        raise Unavailable(f"{path} is a SQLite file of another program: choose another path")


def _use_wal(connection: sqlite3.Connection) -> None:
    # Two first openers deadlock in the switch, which SQLite answers by "locked" without waiting.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.001, 0.02))


def _ensure_schema(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection, path) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection, path)  # somebody may have been faster
    if version == 0:
        _run(connection, _SCHEMA)
        connection.execute("INSERT INTO state VALUES (?, 0, 0, 0)", (str(uuid4()),))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    else:
        for earlier in range(version, SCHEMA_VERSION):
            _run(connection, _MIGRATIONS[earlier])
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    # So that whatever becomes of the log, the file is this store and not the start of a new one.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in filter(str.strip, script.split(";")):
        connection.execute(statement)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise Unavailable(
            f"the datastore {path} has schema version {version}, this Tortie knows up to "
            f"{SCHEMA_VERSION}: it was written by a newer release; upgrade this one"
        )
    return int(version)
