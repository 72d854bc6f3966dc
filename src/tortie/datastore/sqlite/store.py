"""The asynchronous face: hands each operation to the worker thread that owns the connection."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from tortie.api import Key, Resource
from tortie.datastore.contract import Batch, Closed, Listing, Unavailable
from tortie.datastore.sqlite.bell import Bell
from tortie.datastore.sqlite.session import History, Rows, Session, listing_of
from tortie.datastore.sqlite.worker import Worker
from tortie.datastore.together import Together

POLL_SECONDS = 0.1  # between looks where the kernel gives us no inotify

T = TypeVar("T")


class SqliteDatastore:
    """A `Datastore` in one file. One object belongs to one event loop; the file to all processes.

    An operation whose task is cancelled may or may not have been done; the file is whole either
    way. After Unavailable the next operation connects anew, but only to the same store: one that
    was removed is never replaced by an empty one, which would read as "all policy was deleted".
    """

    def __init__(self, path: Path | str, history: History | None = None) -> None:
        self._path = Path(path)
        self._history = history or History()
        self._bell = Bell(self._path)
        self._worker = Worker("tortie-sqlite")
        self._session: Session | None = None  # touched in the thread only
        self._identity: str | None = None
        self._closed = False

    @classmethod
    async def open(cls, path: Path | str, history: History | None = None) -> "SqliteDatastore":
        """The store at `path`, made there if nothing is. Raises Unavailable."""
        store = cls(path, history)
        try:
            await store.revision()
        except BaseException:
            await store.close()
            raise
        return store

    async def revision(self) -> int:
        """See `Datastore.revision`."""
        return await self._run(Session.revision)

    async def identity(self) -> str:
        """See `Datastore.identity`."""
        return await self._run(lambda session: session.identity)

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        return await self._run(lambda session: session.get(key))

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """See `Datastore.list`."""
        return await self._run(lambda session: session.list(kind, namespace))

    async def together(self, kinds: Sequence[str], keys: Sequence[Key]) -> Together:
        """See `read_together`."""
        return await self._run(lambda session: session.together(kinds, keys))

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        """See `Datastore.pages`."""
        rows, revision = await self._run(lambda session: session.rows(kind, namespace))
        rows.reverse()  # so that those that were told can go from the end
        while True:
            part = rows[: -size - 1 : -1]
            del rows[-size:]
            yield await self._run(partial(_listing, kind, part, revision))
            if not rows:
                return

    async def create(self, resource: Resource) -> Resource:
        """See `Datastore.create`."""
        return await self._run(lambda session: session.create(resource))

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`."""
        return await self._run(lambda session: session.update(resource))

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """See `Datastore.delete`."""
        return await self._run(lambda session: session.delete(key, revision))

    async def verify(self) -> None:
        """Read the whole file and check it. Raises Unavailable with what is wrong."""
        await self._run(Session.verify)

    async def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """See `Datastore.watch`."""
        wanted = frozenset(kinds)
        await self.revision()  # connects where there is no connection, so that the bell is there
        with self._bell.heard() as waker:
            while not self._closed:
                waker.clear()  # before reading: a commit during the read wakes us again
                batch = await self._run(partial(Session.changes, kinds=wanted, since=since))
                if batch is None:
                    await self._pause(waker)
                    continue
                since = batch.revision
                yield batch

    async def close(self) -> None:
        """See `Datastore.close`."""
        if self._closed:
            return
        self._closed = True
        self._bell.wake()
        await self._worker.run(self._disconnect)
        self._worker.end()

    async def _pause(self, waker: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(None if self._bell.rings else POLL_SECONDS):
                await waker.wait()
        except TimeoutError:
            return

    async def _run(self, work: Callable[[Session], T]) -> T:
        if self._closed:
            raise Closed(f"the datastore {self._path} is closed here")
        return await self._worker.run(partial(self._work, work))

    def _work(self, work: Callable[[Session], T]) -> T:
        try:
            return work(self._connected())
        except Unavailable:
            self._disconnect()
            raise

    def _connected(self) -> Session:
        if self._session is None:
            if self._identity and not self._path.exists():
                raise Unavailable(
                    f"the datastore {self._path} was removed: put the file back, or restart "
                    "what uses it"
                )
            self._session = Session(self._path, self._history)
            self._identity = self._identity or self._session.identity
        if self._session.identity != self._identity:
            raise Unavailable(
                f"another datastore was put in place of {self._path}: restart what uses it"
            )
        return self._session

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _listing(kind: str, rows: Rows, revision: int, _: Session) -> Listing:
    return listing_of(kind, rows, revision)
