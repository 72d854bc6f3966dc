"""The datastore in one SQLite file, shared by the processes of one machine.

`store` is the asynchronous face, `session` the blocking transactions in its worker thread, `files`
what lies on disk, `bell` how a commit in one process wakes the watchers in others. `direct` is a
face without an event loop, for commands that start, look and end.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tortie.datastore.sqlite.store import SqliteDatastore

__all__ = ["SqliteDatastore"]


def __getattr__(name: str) -> object:
    """The store, loaded when somebody asks: who uses `direct` does not pay for asyncio."""
    if name == "SqliteDatastore":
        from tortie.datastore.sqlite.store import SqliteDatastore

        return SqliteDatastore
    raise AttributeError(name)
