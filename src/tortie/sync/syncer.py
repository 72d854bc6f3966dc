"""List, then watch, then list again after every outage: one stream that ends equal to the store."""

import logging
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing

from tortie.api import Key
from tortie.datastore import (
    Closed,
    Datastore,
    DatastoreError,
    Deleted,
    Forbidden,
    Gone,
    Malformed,
    NotFound,
    Put,
    Rewound,
    Unavailable,
)
from tortie.datastore.cluster import check_unlocked
from tortie.sync.backoff import Backoff
from tortie.sync.kinds import FELIX_KINDS
from tortie.sync.outages import Outage, Outages
from tortie.sync.stream import InSync, Item, Progress, Update
from tortie.sync.translator import SyncWarning, Translator

CHUNK = 1_000  # updates in one batch of a listing
_LISTINGS = 3  # of one kind whose history was compacted away meanwhile, before a pause


class Syncer:
    """One stream of a datastore's kinds. Each object gives one stream, for one consumer.

    `admit` is called with the store's identity before anything is read of it, at the start and
    after every outage; what it raises (no DatastoreError) ends the stream. With it, a datastore
    that is locked at the start is an outage too: it may hold half of what it is to hold.

    `translator` is for who wants objects as they are stored.

    Kinds that the store derives from others on reading (its `derived`) are left out: their sources
    are converted here.
    """

    def __init__(
        self,
        store: Datastore,
        kinds: Collection[str] = FELIX_KINDS,
        on_warning: Callable[[SyncWarning], None] | None = None,
        backoff: Backoff | None = None,
        admit: Callable[[str], None] | None = None,
        translator: Translator | None = None,
    ) -> None:
        self._store = store
        derived: frozenset[str] = getattr(store, "derived", frozenset())
        self._kinds = tuple(kind for kind in kinds if kind not in derived)
        self._on_warning = on_warning or _log
        self._backoff = backoff or Backoff()
        self._admit = admit
        self._translator = translator or Translator()
        self._outages = Outages(lambda text: self._on_warning(SyncWarning(None, text)))
        self.in_sync = False

    @property
    def outage(self) -> Outage | None:
        """Why the store can't be followed now; None while it can."""
        return self._outages.current

    async def stream(self) -> AsyncGenerator[list[Item], None]:
        """Batches of updates for ever, until the datastore is closed. Raises nothing of it.

        Each batch ends with Progress: all changes up to that revision are in this batch or before.
        """
        while True:
            try:
                async with aclosing(self._follow()) as batches:
                    async for batch in batches:
                        yield batch
                await self._store.revision()  # raises Closed where that is why
                raise Unavailable("the datastore ended the watch by itself")
            except Closed:
                return
            except DatastoreError as error:
                if isinstance(error, Rewound):
                    self._translator.distrust()
                if self._backoff.lasted():
                    self._outages.forget()
                self._outages.note(str(error))
            await self._backoff.wait()

    def absent_policies(self) -> list[str]:
        """One line for each stored policy that is not in the stream, since it can't be read."""
        return self._translator.absent_policies()

    async def _follow(self) -> AsyncGenerator[list[Item], None]:
        if self._admit is not None:
            self._admit(await self._store.identity())
            if not self.in_sync:  # who follows it already goes on: what is locked does not change
                await check_unlocked(self._store)
        self._translator.restart(await self._store.revision())
        revisions: list[int] = []
        for kind in self._kinds:
            async with aclosing(self._list(kind, revisions)) as batches:
                async for batch in batches:
                    yield batch
        revision = min(revisions)
        self._backoff.connected()
        self._outages.end()
        yield [*self._first_time(), Progress(revision)]
        async with aclosing(self._watch(revision)) as batches:
            async for batch in batches:
                yield batch

    async def _list(self, kind: str, revisions: list[int]) -> AsyncGenerator[list[Item], None]:
        """What differs of a kind, page by page; its revision is added to `revisions`."""
        for attempt in range(_LISTINGS):
            try:
                async with aclosing(self._pages(kind, revisions)) as batches:
                    async for batch in batches:
                        yield batch
                return
            except Gone:
                if attempt == _LISTINGS - 1:
                    raise

    async def _pages(self, kind: str, revisions: list[int]) -> AsyncGenerator[list[Item], None]:
        self._translator.begin(kind)
        revision = 0
        async with aclosing(self._store.pages(kind)) as pages:
            async for page in pages:
                revision = page.revision
                self._translator.page(page)
                for chunk in _chunks(await self._updates()):
                    yield chunk
        self._translator.end(kind, revision)
        revisions.append(revision)
        for chunk in _chunks(await self._updates()):
            yield chunk

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
        except (Unavailable, Forbidden):
            raise
        except DatastoreError as error:
            return Malformed(key, str(error), 0)
        return Put(key, resource, int(resource.metadata.resource_version))


def _chunks(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _log(warning: SyncWarning) -> None:
    logging.getLogger(__name__).warning("%s", warning)
