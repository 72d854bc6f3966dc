"""Deleting what somebody has to see to first.

An object with finalizers is not deleted but marked (`metadata.deletionTimestamp`); who put a
finalizer there takes it away when all is done, and the last one's going deletes the object.
Kubernetes does that by itself for what it keeps as it is. Everywhere else it is done here: by
Tortie's own commands and controllers, and by nobody who deletes the object behind their backs.
"""

from datetime import UTC, datetime
from typing import TypeVar

from msgspec.structs import replace

from tortie.api import Key, Resource
from tortie.datastore.contract import Datastore
from tortie.datastore.retry import update_with

R = TypeVar("R", bound=Resource)


def is_finalizing(store: Datastore) -> bool:
    """Whether the store itself knows of finalizers."""
    return bool(getattr(getattr(store, "inner", store), "finalizing", False))


def finalizers_of(resource: Resource) -> tuple[str, ...]:
    """Who has to see to it before it goes."""
    found = resource.metadata.finalizers
    return tuple(found) if isinstance(found, list | tuple) else ()


def is_going(resource: Resource) -> bool:
    """Whether its deletion was asked for."""
    return bool(resource.metadata.deletion_timestamp)


def guarded(resource: R, finalizer: str) -> R:
    """With this finalizer."""
    own = finalizers_of(resource)
    if finalizer in own:
        return resource
    metadata = replace(resource.metadata, finalizers=[*own, finalizer])
    return replace(resource, metadata=metadata)


async def delete_or_mark(store: Datastore, key: Key) -> bool:
    """Delete it, or mark it where somebody has to see to it first; whether it is gone.

    Raises NotFound and other DatastoreErrors.
    """
    if not is_finalizing(store):
        found = await store.get(key)
        if finalizers_of(found):
            await update_with(store, key, _marked)
            return False
    gone = await store.delete(key)
    return gone is None or not finalizers_of(gone)


async def finish(store: Datastore, resource: Resource, finalizer: str) -> None:
    """Take the finalizer away from what is going; the last one's going deletes it.

    Raises NotFound, and Conflict where it changed since it was read.
    """
    left = [one for one in finalizers_of(resource) if one != finalizer]
    if not left and not is_finalizing(store):
        await store.delete(resource.key, int(resource.metadata.resource_version))
        return
    metadata = replace(resource.metadata, finalizers=left or None)
    await store.update(replace(resource, metadata=metadata))


def _marked(resource: Resource) -> Resource | None:
    if is_going(resource):
        return None
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return replace(resource, metadata=replace(resource.metadata, deletion_timestamp=now))
