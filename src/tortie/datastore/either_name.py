"""A datastore that finds a policy by either of its two names: see `tortie.api.policy_names`."""

from collections.abc import AsyncGenerator, Collection

from tortie.api import Key, Resource, with_metadata
from tortie.api.policy_names import has_two_names, other_key
from tortie.datastore.contract import (
    AlreadyExists,
    Batch,
    Datastore,
    Listing,
    NotFound,
)


class EitherName:
    """What people work on: "web" finds the policy that an older version stored as "default.web".

    The exact name is asked first, and what is stored keeps its name, so two policies of both names
    stay two. Making a second one beside the first is refused: it would be a copy that goes on being
    enforced when the first is changed.
    """

    def __init__(self, store: Datastore) -> None:
        self._store = store

    async def get(self, key: Key) -> Resource:
        """As of the contract; the object's own key may be the other one."""
        try:
            return await self._store.get(key)
        except NotFound:
            found = await self._other(key)
            if found is None:
                raise
            return found

    async def create(self, resource: Resource) -> Resource:
        """As of the contract. Raises AlreadyExists for either name."""
        found = await self._other(resource.key) if has_two_names(resource) else None
        if found is not None:
            raise AlreadyExists(f"{resource.key} is there already, as {found.key.name!r}")
        return await self._store.create(resource)

    async def update(self, resource: Resource) -> Resource:
        """As of the contract; the object keeps the name that it is stored under."""
        try:
            return await self._store.update(resource)
        except NotFound:
            found = await self._other(resource.key) if has_two_names(resource) else None
            if found is None:
                raise
            return await self._store.update(with_metadata(resource, name=found.metadata.name))

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """As of the contract."""
        try:
            return await self._store.delete(key, revision)
        except NotFound:
            found = await self._other(key)
            if found is None:
                raise
            return await self._store.delete(found.key, revision)

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """As of the contract."""
        return await self._store.list(kind, namespace)

    def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        """As of the contract."""
        return self._store.pages(kind, namespace, size)

    async def revision(self) -> int:
        """As of the contract."""
        return await self._store.revision()

    async def identity(self) -> str:
        """As of the contract."""
        return await self._store.identity()

    def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """As of the contract."""
        return self._store.watch(kinds, since)

    async def close(self) -> None:
        """As of the contract."""
        await self._store.close()

    async def _other(self, key: Key) -> Resource | None:
        """The policy that is stored under the other name only; None where there is none."""
        other = other_key(key)
        if other is None:
            return None
        try:
            found = await self._store.get(other)
        except NotFound:
            return None
        return found if has_two_names(found) else None
