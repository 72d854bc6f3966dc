"""From the text that names a datastore to an open one."""

from pathlib import Path

from tortie.datastore.contract import Datastore, DatastoreError


async def open_datastore(location: str | Path) -> Datastore:
    """Open "sqlite:PATH", "memory:" or a bare path, which means SQLite.

    Raises DatastoreError for a scheme that is none of these, Unavailable where it can't be opened.
    """
    scheme, colon, rest = str(location).partition(":")
    if not colon or "/" in scheme:
        scheme, rest = "sqlite", str(location)
    if scheme == "memory" and not rest:
        from tortie.datastore.memory import MemoryDatastore

        return MemoryDatastore()
    if scheme == "sqlite" and rest:
        from tortie.datastore.sqlite import SqliteDatastore

        return await SqliteDatastore.open(Path(rest))
    raise DatastoreError(
        f"{str(location)!r} names no datastore: use sqlite:PATH, a path, or memory:"
    )
