"""The datastore in the memory of one process: for tests, dry runs and the lab's own use.

It belongs to one event loop. It keeps bytes, as every backend does, so that what it answers has
gone through the same codec.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection
from itertools import islice
from typing import NamedTuple
from uuid import uuid4

from tortie.api import Key, Resource
from tortie.api.unknown_fields import carried
from tortie.datastore.contract import (
    AlreadyExists,
    Batch,
    Closed,
    Deleted,
    Event,
    Gone,
    Listing,
    Malformed,
    NotFound,
    Put,
)
from tortie.datastore.values import (
    Identity,
    check_same_object,
    check_unchanged,
    from_value,
    in_pages,
    new_identity,
    revision_read,
    sound,
    to_value,
)

HISTORY = 10_000  # changes that a watch can fall behind
BATCH = 1_000


class _Stored(NamedTuple):
    revision: int
    identity: Identity
    value: bytes


class _Change(NamedTuple):
    revision: int
    key: Key
    value: bytes | None


class MemoryDatastore:
    """A `Datastore` that nothing survives. `history` bounds the change log."""

    def __init__(self, history: int = HISTORY) -> None:
        self._history = history
        self._objects: defaultdict[str, dict[Key, _Stored]] = defaultdict(dict)
        self._log: list[_Change] = []  # one entry a revision, without gaps, after _compacted
        self._compacted = 0
        self._wakers: set[asyncio.Event] = set()
        self._identity = uuid4().hex
        self._closed = False

    async def revision(self) -> int:
        """See `Datastore.revision`."""
        self._check_open()
        return self._compacted + len(self._log)

    async def identity(self) -> str:
        """See `Datastore.identity`."""
        return self._identity

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        stored = self._find(key)
        return sound(key, stored.value, stored.revision)

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """See `Datastore.list`."""
        self._check_open()
        found = [
            from_value(key, stored.value, stored.revision)
            for key, stored in sorted(self._objects[kind].items())
            if namespace is None or key.namespace == namespace
        ]
        return Listing(
            resources=tuple(item for item in found if isinstance(item, Resource)),
            malformed=tuple(item for item in found if isinstance(item, Malformed)),
            revision=await self.revision(),
        )

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        """See `Datastore.pages`."""
        for page in in_pages(await self.list(kind, namespace), size):
            yield page

    async def create(self, resource: Resource) -> Resource:
        """See `Datastore.create`."""
        self._check_open()
        key = resource.key
        identity = new_identity()
        value = to_value(resource, identity)
        if key in self._objects[key.kind]:
            raise AlreadyExists(f"{key} is there already: update it instead")
        return self._put(key, identity, value)

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`."""
        key, read = resource.key, revision_read(resource)
        stored = self._find(key)
        check_unchanged(key, read, stored.revision)
        check_same_object(resource, stored.identity)
        value = carried(key.kind, stored.value, to_value(resource, stored.identity))
        return self._put(key, stored.identity, value)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """See `Datastore.delete`."""
        stored = self._find(key)
        check_unchanged(key, revision, stored.revision)
        del self._objects[key.kind][key]
        self._record(key, None)
        gone = from_value(key, stored.value, stored.revision)
        return gone if isinstance(gone, Resource) else None

    async def put_raw(self, key: Key, value: bytes) -> None:
        """Store bytes as they are, whatever they are: how tests get malformed objects."""
        revision = self._record(key, value)
        self._objects[key.kind][key] = _Stored(revision, new_identity(), value)

    async def raw(self, key: Key) -> bytes:
        """The bytes that are stored. Raises NotFound."""
        return self._find(key).value

    async def compact(self) -> None:
        """Forget the changes until now: watches that are behind end in Gone."""
        self._compacted += len(self._log)
        self._log.clear()

    async def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """See `Datastore.watch`."""
        wanted = frozenset(kinds)
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            while not self._closed:
                waker.clear()
                batch = self._changes(wanted, since)
                if batch is None:
                    await waker.wait()
                    continue
                since = batch.revision
                yield batch
        finally:
            self._wakers.discard(waker)

    async def close(self) -> None:
        """See `Datastore.close`."""
        self._closed = True
        self._wake()

    def _changes(self, kinds: frozenset[str], since: int) -> Batch | None:
        end = self._compacted + len(self._log)
        if not self._compacted <= since <= end:
            raise Gone(f"revision {since} is outside the history ({self._compacted} to {end})")
        if since == end:
            return None
        start = since - self._compacted
        changes = list(islice(self._log, start, start + BATCH))
        events = tuple(_event(change) for change in changes if change.key.kind in kinds)
        return Batch(events, changes[-1].revision)

    def _put(self, key: Key, identity: Identity, value: bytes) -> Resource:
        revision = self._record(key, value)
        self._objects[key.kind][key] = _Stored(revision, identity, value)
        return sound(key, value, revision)

    def _record(self, key: Key, value: bytes | None) -> int:
        revision = self._compacted + len(self._log) + 1
        self._log.append(_Change(revision, key, value))
        if len(self._log) > 2 * self._history:  # trimming by halves keeps it cheap
            self._compacted = revision - self._history
            del self._log[: -self._history]
        self._wake()
        return revision

    def _find(self, key: Key) -> _Stored:
        self._check_open()
        stored = self._objects[key.kind].get(key)
        if stored is None:
            raise NotFound(f"there is no {key}")
        return stored

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the in-memory datastore is closed")

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()


def _event(change: _Change) -> Event:
    if change.value is None:
        return Deleted(change.key, change.revision)
    found = from_value(change.key, change.value, change.revision)
    if isinstance(found, Malformed):
        return found
    return Put(change.key, found, change.revision)
