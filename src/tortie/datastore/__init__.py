"""Where resources are kept: one contract for create, get, list, update, delete and watch.

What comes in: typed resources. What goes out: the same, each with its revision, and events in the
order in which they happened. Backends differ in where they keep things, never in what they answer:
one test suite runs against each. It never interprets a resource beyond its key.
"""

from tortie.datastore.contract import (
    AlreadyExists,
    Batch,
    Closed,
    Conflict,
    Datastore,
    DatastoreError,
    Deleted,
    Event,
    Forbidden,
    Gone,
    Invalid,
    Listing,
    Malformed,
    NotFound,
    NotLeading,
    Put,
    Rewound,
    Unavailable,
)
from tortie.datastore.location import open_datastore, sqlite_path
from tortie.datastore.retry import update_with

__all__ = [
    "AlreadyExists",
    "Batch",
    "Closed",
    "Conflict",
    "Datastore",
    "DatastoreError",
    "Deleted",
    "Event",
    "Forbidden",
    "Gone",
    "Invalid",
    "Listing",
    "Malformed",
    "NotFound",
    "NotLeading",
    "Put",
    "Rewound",
    "Unavailable",
    "open_datastore",
    "sqlite_path",
    "update_with",
]
