"""The same store without threads or event loop: each operation is done where it is called.

For short commands, which would spend more time on loading asyncio than on their work.
"""

from collections.abc import AsyncGenerator, Collection
from pathlib import Path

from tortie.api import Key, Resource
from tortie.datastore.contract import Batch, Listing, Unavailable
from tortie.datastore.sqlite.session import History, Session
from tortie.datastore.values import in_pages


class DirectDatastore:
    """A `Datastore` whose methods never wait for anything but the file; it can't watch.

    Made where there is none. Raises Unavailable.
    """

    def __init__(self, path: Path | str) -> None:
        self._session = Session(Path(path), History())

    async def revision(self) -> int:
        """See `Datastore.revision`."""
        return self._session.revision()

    async def identity(self) -> str:
        """See `Datastore.identity`."""
        return self._session.identity

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        return self._session.get(key)

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """See `Datastore.list`."""
        return self._session.list(kind, namespace)

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        """See `Datastore.pages`."""
        for page in in_pages(await self.list(kind, namespace), size):
            yield page

    async def create(self, resource: Resource) -> Resource:
        """See `Datastore.create`."""
        return self._session.create(resource)

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`."""
        return self._session.update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """See `Datastore.delete`."""
        return self._session.delete(key, revision)

    def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """Raises Unavailable: `SqliteDatastore` watches."""
        raise Unavailable(f"watching {', '.join(kinds)} from {since} needs an event loop")

    async def close(self) -> None:
        """See `Datastore.close`."""
        self._session.close()
