"""List, then watch, then list again after every outage: one stream that ends equal to the store."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing
from typing import NamedTuple

from tortie.api import Key
from tortie.datastore import (
    Closed,
    Datastore,
    DatastoreError,
    Deleted,
    Malformed,
    NotFound,
    Put,
    Unavailable,
)
from tortie.sync.backoff import Backoff
from tortie.sync.stream import InSync, Item, Progress, Update
from tortie.sync.translator import SyncWarning, Translator

FELIX_KINDS = (  # what the node agent needs; what others refer to comes first
    "Tier",
    "IPPool",
    "Node",
    "Namespace",
    "ServiceAccount",
    "Profile",
    "NetworkSet",
    "GlobalNetworkSet",
    "GlobalNetworkPolicy",
    "NetworkPolicy",
    "KubernetesNetworkPolicy",
    "KubernetesAdminNetworkPolicy",
    "KubernetesBaselineAdminNetworkPolicy",
    "KubernetesClusterNetworkPolicy",
    "IPAMBlock",
    "BlockAffinity",
    "WorkloadEndpoint",
    "Pod",
)
CHUNK = 1_000  # updates in one batch of the first picture


class Outage(NamedTuple):
    """The datastore can't be followed: since when (of the monotonic clock, seconds) and why."""

    since: float
    reason: str


class Syncer:
    """One stream of a datastore's kinds. Each object gives one stream, for one consumer."""

    def __init__(
        self,
        store: Datastore,
        kinds: Collection[str] = FELIX_KINDS,
        on_warning: Callable[[SyncWarning], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._store = store
        self._kinds = tuple(kinds)
        self._on_warning = on_warning or _log
        self._backoff = backoff or Backoff()
        self._translator = Translator()
        self.in_sync = False
        self.outage: Outage | None = None

    async def stream(self) -> AsyncGenerator[list[Item], None]:
        """Batches of updates for ever, until the datastore is closed. Raises nothing of it.

        Each batch ends with Progress: all changes up to that revision are in this batch or before.
        """
        while True:
            try:
                async with aclosing(self._follow()) as batches:
                    async for batch in batches:
                        yield batch
                return
            except Closed:
                return
            except DatastoreError as error:
                self._note(error)
            await self._backoff.wait()

    async def _follow(self) -> AsyncGenerator[list[Item], None]:
        self._translator.restart(await self._store.revision())
        revisions = []
        for kind in self._kinds:
            listing = await self._store.list(kind)
            self._translator.replace(kind, listing)
            revisions.append(listing.revision)
            for chunk in _chunks(await self._updates()):
                yield chunk
        revision = min(revisions)
        self._backoff.connected()
        self.outage = None
        yield [*self._first_time(), Progress(revision)]
        async with aclosing(self._watch(revision)) as batches:
            async for batch in batches:
                yield batch

    async def _watch(self, since: int) -> AsyncGenerator[list[Item], None]:
        async with aclosing(self._store.watch(self._kinds, since)) as batches:
            async for batch in batches:
                self._translator.apply(batch.events)
                yield [*await self._updates(), Progress(batch.revision)]

    def _first_time(self) -> list[Item]:
        first = not self.in_sync
        self.in_sync = True
        return [InSync()] if first else []

    async def _updates(self) -> list[Item]:
        while wanted := self._translator.take_wanted():
            for key in wanted:
                self._translator.reread(await self._current(key))
        for warning in self._translator.take_warnings():
            self._on_warning(warning)
        return [Update(key, value) for key, value in self._translator.take_updates().items()]

    async def _current(self, key: Key) -> Put | Deleted | Malformed:
        try:
            resource = await self._store.get(key)
        except NotFound:
            return Deleted(key, 0)
        except Unavailable:
            raise
        except DatastoreError as error:
            return Malformed(key, str(error), 0)
        return Put(key, resource, int(resource.metadata.resource_version))

    def _note(self, error: DatastoreError) -> None:
        reason = f"following the datastore failed, trying again: {error}"
        if self.outage is None or self.outage.reason != reason:
            since = self.outage.since if self.outage else time.monotonic()
            self.outage = Outage(since, reason)
            self._on_warning(SyncWarning(None, reason))


def _chunks(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _log(warning: SyncWarning) -> None:
    logging.getLogger(__name__).warning("%s", warning)
