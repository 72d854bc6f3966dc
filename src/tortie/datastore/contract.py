"""The datastore contract: what every backend promises.

Revisions are one increasing integer for the whole store. A write names the revision that it read
(`resource.metadata.resource_version`) and fails with `Conflict` if the object moved on; without
one, an update is unconditional.
"""

from collections.abc import AsyncGenerator, Collection
from typing import Protocol

from msgspec import Struct

from tortie.api import Key, Resource


class DatastoreError(Exception):
    """Any failure of the store. The message says what failed, where, and what to do."""


class NotFound(DatastoreError):
    """There is no object of that key."""


class AlreadyExists(DatastoreError):
    """An object of that key is there already."""


class Conflict(DatastoreError):
    """The object has changed since it was read: read it again, then retry."""


class Gone(DatastoreError):
    """The history since that revision is compacted: list again, then watch from there."""


class Rewound(Gone):
    """The store was put back to an earlier copy: no revision that was seen means the same now."""


class Unavailable(DatastoreError):
    """The store can't be reached or is damaged; the message says which."""


class Closed(Unavailable):
    """This process has closed its store: there is nothing to wait for."""


class NotLeading(Unavailable):
    """Another process has taken over what this one did: its write was refused."""


class Forbidden(DatastoreError):
    """The store refused who we are or what we may do. One line: which user, right or setting."""


class Invalid(DatastoreError):
    """The store refused the object itself, by rules of its own; the message says which part."""


class Put(Struct, frozen=True):
    """The object now has this value (created or updated)."""

    key: Key
    resource: Resource
    revision: int


class Deleted(Struct, frozen=True):
    """The object is gone."""

    key: Key
    revision: int


class Malformed(Struct, frozen=True):
    """The object is there but can't be decoded; `reason` is for people."""

    key: Key
    reason: str
    revision: int


Event = Put | Deleted | Malformed


class Batch(Struct, frozen=True):
    """Events in order, complete up to and including `revision`.

    `events` may be empty: the store went on, in kinds that were not asked for.
    """

    events: tuple[Event, ...]
    revision: int


class Listing(Struct, frozen=True):
    """What a kind held at `revision`, sorted by key; what can't be decoded stands apart."""

    resources: tuple[Resource, ...]
    malformed: tuple[Malformed, ...]
    revision: int


class Datastore(Protocol):
    """Create, read, update, delete and watch resources. All methods raise DatastoreError."""

    async def get(self, key: Key) -> Resource:
        """The object. Raises NotFound, or DatastoreError with the reason if malformed."""
        ...

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """All objects of a kind; of one namespace where given."""
        ...

    def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        """As `list`, in parts of at most `size` objects, all of one snapshot and revision.

        At least one page, which may be empty. The order is the store's own: only `list` sorts.
        Raises Gone where the snapshot was compacted away before the last page: begin again.
        """
        ...

    async def create(self, resource: Resource) -> Resource:
        """Store a new object; gives it uid, creation time and revision. Raises AlreadyExists."""
        ...

    async def update(self, resource: Resource) -> Resource:
        """Replace an object; returns it with its new revision. Raises NotFound, Conflict."""
        ...

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """Remove an object, if still at `revision` where given. Raises NotFound, Conflict.

        Returns what was removed; None where that could not be decoded.
        """
        ...

    async def revision(self) -> int:
        """The revision of the last write of any kind; 0 in a store never written to."""
        ...

    async def identity(self) -> str:
        """Which store this is: made with it, the same for all its users, of no other store."""
        ...

    def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """Every change after `since` of these kinds, for ever. Raises Gone, Unavailable.

        Who stops early calls `aclose` (`contextlib.aclosing` does).
        """
        ...

    async def close(self) -> None:
        """Let go of files and connections; watches end."""
        ...
