"""The blocking half: one connection, one transaction per method, all in one thread."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tortie.api import Key, Resource
from tortie.api.unknown_fields import carried
from tortie.datastore.contract import (
    AlreadyExists,
    Batch,
    DatastoreError,
    Deleted,
    Event,
    Gone,
    Listing,
    Malformed,
    NotFound,
    Put,
    Unavailable,
)
from tortie.datastore.sqlite.clapper import Clapper, bell_path
from tortie.datastore.sqlite.errors import DAMAGED, named
from tortie.datastore.sqlite.files import open_database
from tortie.datastore.values import (
    Identity,
    check_same_object,
    check_unchanged,
    from_value,
    new_identity,
    revision_read,
    sound,
    to_value,
)

if TYPE_CHECKING:  # it brings an event loop along
    from tortie.datastore.together import Found, Together

BATCH = 1_000  # changes read at once
COMPACT_EVERY = 256  # changes by which the log may be too long
COMPACT_PART = 8  # and by which part of its bytes: it is cut seldom, then to the bound

_FIND = (
    "SELECT revision, uid, created, value FROM objects WHERE (kind, namespace, name) = (?, ?, ?)"
)
_PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)"
_LOG = """
UPDATE state SET revision = revision + 1, logged = logged + ? RETURNING revision, compacted, logged
"""
_OLDEST = "SELECT revision, coalesce(length(value), 0) FROM changes ORDER BY revision"


class History(NamedTuple):
    """How much of the change log stays: what a watcher may fall behind before `Gone`."""

    changes: int = 20_000
    bytes: int = 32 << 20


class _Stored(NamedTuple):
    revision: int
    identity: Identity
    value: bytes


Rows = list[tuple[str, str, bytes, int]]


def listing_of(kind: str, rows: Rows, revision: int) -> Listing:
    """The listing that rows of a kind are."""
    found = [from_value(Key(kind, row[0], row[1]), row[2], row[3]) for row in rows]
    return Listing(
        resources=tuple(item for item in found if isinstance(item, Resource)),
        malformed=tuple(item for item in found if isinstance(item, Malformed)),
        revision=revision,
    )


class Session:
    """See `Datastore` for what the methods promise. Made, used and closed in one thread."""

    def __init__(self, path: Path, history: History) -> None:
        self._path = path
        self._history = history
        self._database = open_database(path)
        self._revision = 0  # of the last write here
        with named(path):
            self._file = _inode(path)
            self.identity = str(self._row("SELECT identity FROM state")[0])
            self._bell = Clapper(path, self.identity)
            self._check_log()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
        self._bell.close()

    def revision(self) -> int:
        """The revision of the last commit."""
        with self._reading():
            return int(self._row("SELECT revision FROM state")[0])

    def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        with self._reading():
            stored = self._find(key)
        return sound(key, stored.value, stored.revision)

    def together(self, kinds: Sequence[str], keys: Sequence[Key]) -> "Together":
        """See `read_together`: all of one moment."""
        from tortie.datastore.together import Together

        with self._reading():
            (revision,) = self._row("SELECT revision FROM state")
            rows = {kind: self._select(kind, None) for kind in kinds}
            stored = {key: self._database.execute(_FIND, key).fetchone() for key in keys}
        lists = {kind: listing_of(kind, rows[kind], revision).resources for kind in kinds}
        return Together(lists, {key: _found(key, row) for key, row in stored.items()})

    def list(self, kind: str, namespace: str | None) -> Listing:
        """See `Datastore.list`."""
        rows, revision = self.rows(kind, namespace)
        return listing_of(kind, rows, revision)

    def rows(self, kind: str, namespace: str | None) -> tuple[Rows, int]:
        """What `listing_of` makes objects of, and the revision, of one moment."""
        with self._reading():
            (revision,) = self._row("SELECT revision FROM state")
            return self._select(kind, namespace), revision

    def _select(self, kind: str, namespace: str | None) -> Rows:
        query = "SELECT namespace, name, value, revision FROM objects WHERE kind = ?"
        order = " ORDER BY namespace, name"
        where, wanted = (
            ("", (kind,)) if namespace is None else (" AND namespace = ?", (kind, namespace))
        )
        return self._database.execute(query + where + order, wanted).fetchall()

    def create(self, resource: Resource) -> Resource:
        """See `Datastore.create`."""
        key, identity = resource.key, new_identity()
        value = to_value(resource, identity)
        with self._writing():
            if self._database.execute(_FIND, key).fetchone():
                raise AlreadyExists(f"{key} is there already: update it instead")
            revision = self._put(key, identity, value)
        return sound(key, value, revision)

    def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`."""
        key, read = resource.key, revision_read(resource)
        with self._writing():
            stored = self._find(key)
            check_unchanged(key, read, stored.revision)
            check_same_object(resource, stored.identity)
            value = carried(key.kind, stored.value, to_value(resource, stored.identity))
            revision = self._put(key, stored.identity, value)
        return sound(key, value, revision)

    def delete(self, key: Key, revision: int | None) -> Resource | None:
        """See `Datastore.delete`."""
        with self._writing():
            stored = self._find(key)
            check_unchanged(key, revision, stored.revision)
            self._database.execute(
                "DELETE FROM objects WHERE (kind, namespace, name) = (?, ?, ?)", key
            )
            self._record(key, None)
        gone = from_value(key, stored.value, stored.revision)
        return gone if isinstance(gone, Resource) else None

    def changes(self, kinds: frozenset[str], since: int) -> Batch | None:
        """What happened after `since`, at most `BATCH` changes; None where nothing did."""
        marks = ",".join("?" * len(kinds))
        with self._reading():
            end, compacted = self._row("SELECT revision, compacted FROM state")
            if not compacted <= since <= end:
                raise Gone(f"revision {since} is outside the history ({compacted} to {end})")
            if since == end:
                return None
            rows = self._database.execute(
                "SELECT revision, kind, namespace, name, value FROM changes "
                f"WHERE revision > ? AND kind IN ({marks}) ORDER BY revision LIMIT {BATCH}",
                (since, *kinds),
            ).fetchall()
        events = tuple(_event(*row) for row in rows)
        return Batch(events, rows[-1][0] if len(rows) == BATCH else end)

    def verify(self) -> None:
        """Read the whole file and check it. Raises Unavailable with what is wrong."""
        with self._reading():
            (found,) = self._row("PRAGMA integrity_check(1)")
        if found != "ok":
            raise Unavailable(f"the datastore {self._path} {DAMAGED} (SQLite: {found})")

    def _find(self, key: Key) -> _Stored:
        row = self._database.execute(_FIND, key).fetchone()
        if row is None:
            raise NotFound(f"there is no {key}")
        return _Stored(row[0], Identity(row[1], row[2]), row[3])

    def _put(self, key: Key, identity: Identity, value: bytes) -> int:
        revision = self._record(key, value)
        self._database.execute(_PUT, (*key, revision, *identity, value))
        return revision

    def _record(self, key: Key, value: bytes | None) -> int:
        revision, compacted, logged = self._row(_LOG, (len(value or b""),))
        self._database.execute(
            "INSERT INTO changes VALUES (?, ?, ?, ?, ?)", (revision, *key, value)
        )
        most = self._history
        if (
            revision - compacted > most.changes + COMPACT_EVERY
            or logged > most.bytes + most.bytes // COMPACT_PART
        ):
            self._compact(revision, compacted, logged)
        self._revision = int(revision)
        return self._revision

    def _compact(self, revision: int, compacted: int, logged: int) -> None:
        """Forget the oldest changes down to the bounds, but never the one being written."""
        for last, size in self._database.execute(_OLDEST):
            enough = last > revision - self._history.changes and logged <= self._history.bytes
            if enough or last == revision:
                break
            compacted, logged = last, logged - size
        self._database.execute("DELETE FROM changes WHERE revision <= ?", (compacted,))
        self._database.execute("UPDATE state SET (compacted, logged) = (?, ?)", (compacted, logged))

    def _row(self, query: str, values: tuple[object, ...] = ()) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._database.execute(query, values).fetchone()
        return row

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with named(self._path), self._transaction("BEGIN"):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with named(self._path):
            self._bell.ready()
            with self._transaction("BEGIN IMMEDIATE"):
                yield
            self._bell.ring(self._revision)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._check_file()
        self._database.execute(begin)
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _check_log(self) -> None:
        told = self._bell.witnessed()  # before the look: what was told by now is there
        (found,) = self._row("SELECT revision FROM state")
        if found < told:
            self._database.close()
            raise Unavailable(
                f"the datastore {self._path} is at revision {found}, and was at {told}: its log "
                f"{self._path.name}-wal was damaged or removed, or an earlier copy put in its "
                f"place. To go on with what is there, remove {bell_path(self._path)}"
            )

    def _check_file(self) -> None:
        if _inode(self._path) != self._file:
            raise Unavailable(
                f"the datastore {self._path} was removed or replaced while in use: put the file "
                "back, or restart what uses it"
            )


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _found(key: Key, row: tuple[Any, ...] | None) -> "Found":
    if row is None:
        return None
    try:
        return sound(key, row[3], row[0])
    except DatastoreError as error:
        return error


def _event(revision: int, kind: str, namespace: str, name: str, value: bytes | None) -> Event:
    key = Key(kind, namespace, name)
    if value is None:
        return Deleted(key, revision)
    found = from_value(key, value, revision)
    return found if isinstance(found, Malformed) else Put(key, found, revision)
