"""The datastore in one SQLite file, shared by the processes of one machine.

`store` is the asynchronous face, `session` the blocking transactions in its worker thread, `files`
what lies on disk, `bell` how a commit in one process wakes the watchers in others.
"""

from tortie.datastore.sqlite.store import SqliteDatastore

__all__ = ["SqliteDatastore"]
