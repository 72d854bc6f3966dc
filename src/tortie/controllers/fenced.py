"""A datastore that is written to only while something holds."""

from collections.abc import AsyncGenerator, Callable, Collection

from tortie.api import Key, Resource
from tortie.datastore import Batch, Datastore, Listing


class FencedStore:
    """`store`; `check` is called before each write, and raises where there is to be none."""

    def __init__(self, store: Datastore, check: Callable[[], None]) -> None:
        self.inner = store
        """The store itself, for what not every store can do."""
        self.check = check
        """Raises where nothing is to be written now."""
        self.derived: frozenset[str] = getattr(store, "derived", frozenset())

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        return await self.inner.get(key)

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """See `Datastore.list`."""
        return await self.inner.list(kind, namespace)

    def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        """See `Datastore.pages`."""
        return self.inner.pages(kind, namespace, size)

    async def create(self, resource: Resource) -> Resource:
        """See `Datastore.create`."""
        self.check()
        return await self.inner.create(resource)

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`."""
        self.check()
        return await self.inner.update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """See `Datastore.delete`."""
        self.check()
        return await self.inner.delete(key, revision)

    async def revision(self) -> int:
        """See `Datastore.revision`."""
        return await self.inner.revision()

    async def identity(self) -> str:
        """See `Datastore.identity`."""
        return await self.inner.identity()

    def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """See `Datastore.watch`."""
        return self.inner.watch(kinds, since)

    async def close(self) -> None:
        """See `Datastore.close`."""
        await self.inner.close()
