"""From the text that names a datastore to an open one."""

from pathlib import Path

from tortie.datastore.contract import Datastore, DatastoreError

MEMORY = "memory:"


def sqlite_path(location: str | Path) -> Path | None:
    """The file that "sqlite:PATH" or a bare path names; None for `MEMORY`.

    Raises DatastoreError for any other scheme.
    """
    scheme, colon, rest = str(location).partition(":")
    if not colon or "/" in scheme:
        scheme, rest = "sqlite", str(location)
    if scheme == "sqlite" and rest:
        return Path(rest)
    if str(location) == MEMORY:
        return None
    raise DatastoreError(
        f"{str(location)!r} names no datastore: use sqlite:PATH, a path, or memory:"
    )


async def open_datastore(location: str | Path) -> Datastore:
    """Open "sqlite:PATH", "memory:" or a bare path, which means SQLite.

    Raises DatastoreError for a scheme that is none of these, Unavailable where it can't be opened.
    """
    path = sqlite_path(location)
    if path is None:
        from tortie.datastore.memory import MemoryDatastore

        return MemoryDatastore()
    from tortie.datastore.sqlite import SqliteDatastore

    return await SqliteDatastore.open(path)
