"""The lock of a datastore, and the mark of a half-done import: both in ClusterInformation."""

from collections.abc import Callable

from msgspec.structs import replace

from tortie.api import Resource
from tortie.api.calico.cluster_information import ClusterInformation
from tortie.datastore.cluster import CLUSTER
from tortie.datastore.contract import (
    AlreadyExists,
    Conflict,
    Datastore,
    DatastoreError,
    NotFound,
)
from tortie.datastore.initialize import ensure_initialized
from tortie.datastore.migrate.content import bare
from tortie.datastore.retry import ATTEMPTS, pause, update_with

MARK = "tortie/importing"  # an annotation: the digest of the file that is being imported


class NotLocked(DatastoreError):
    """What was asked for needs a locked datastore."""


class HalfImported(DatastoreError):
    """An import into this datastore was begun and has not come to its end."""


async def lock(store: Datastore, version: str) -> bool:
    """Lock it; False where it was locked already. Raises DatastoreError."""
    try:
        await store.get(CLUSTER)
    except NotFound:
        await ensure_initialized(store, version)
    return await _set_ready(store, False)


async def unlock(store: Datastore) -> bool:
    """Unlock it; False where it was not locked. Raises HalfImported, DatastoreError."""
    return await _set_ready(store, True)


async def is_locked(store: Datastore) -> bool:
    """Whether it is locked. Raises DatastoreError."""
    try:
        return _cluster(await store.get(CLUSTER)).spec.datastore_ready is False
    except NotFound:
        return False


async def check_exportable(store: Datastore) -> None:
    """Raise NotLocked, or HalfImported, where an export would be no whole picture."""
    if not await is_locked(store):
        raise NotLocked(
            "the datastore is not locked, so it may change while it is exported: run `tortie "
            "datastore migrate lock` first"
        )
    if mark := mark_of(_cluster(await store.get(CLUSTER))):
        raise HalfImported(f"the datastore holds half an import ({mark}): let that end first")


async def mark_on(store: Datastore) -> str:
    """The digest of the file that is half imported; "" where none is."""
    try:
        return mark_of(_cluster(await store.get(CLUSTER)))
    except NotFound:
        return ""


def mark_of(cluster: ClusterInformation) -> str:
    """See `mark_on`."""
    return cluster.metadata.annotations.get(MARK, "")


async def begin(store: Datastore, cluster: ClusterInformation, digest: str) -> None:
    """Lock the store, mark it, and make it the cluster that `cluster` says. May be done twice.

    Raises HalfImported where it is marked for another file; DatastoreError.
    """

    def marked(found: Resource) -> Resource:
        mark = mark_of(_cluster(found))
        if mark not in ("", digest):
            raise HalfImported(_of_another(mark))
        return _as(cluster, found, {MARK: digest})

    for attempt in range(ATTEMPTS):
        try:
            await _update_or_create(store, marked, _as(cluster, bare(cluster), {MARK: digest}))
            return
        except AlreadyExists:
            await pause(attempt)
    raise Conflict(f"{CLUSTER} came and went under {ATTEMPTS} attempts to write it: retry")


async def finish(store: Datastore, cluster: ClusterInformation) -> None:
    """Take the mark away; the lock stays. Raises DatastoreError."""
    await update_with(store, CLUSTER, lambda found: _as(cluster, found, {}))


def says_the_same(wanted: ClusterInformation, found: Resource) -> bool:
    """Whether the store is the cluster of the file, but for lock and mark."""
    there = _cluster(found)
    annotations = {k: v for k, v in there.metadata.annotations.items() if k != MARK}
    return (
        replace(wanted.spec, datastore_ready=None) == replace(there.spec, datastore_ready=None)
        and wanted.metadata.labels == there.metadata.labels
        and wanted.metadata.annotations == annotations
    )


def of_another(mark: str) -> HalfImported:
    """The error for a store in which another file is half imported."""
    return HalfImported(_of_another(mark))


def _of_another(mark: str) -> str:
    return (
        f"another file ({mark}) is half imported here: import that one to its end, or empty the "
        "datastore and begin again"
    )


async def _update_or_create(
    store: Datastore, change: Callable[[Resource], Resource], fresh: Resource
) -> None:
    try:
        await update_with(store, CLUSTER, change)
    except NotFound:
        await store.create(fresh)


def _as(cluster: ClusterInformation, found: Resource, mark: dict[str, str]) -> ClusterInformation:
    """`found` with what `cluster` says, locked."""
    metadata = replace(
        found.metadata,
        labels=cluster.metadata.labels,
        annotations={**cluster.metadata.annotations, **mark},
    )
    spec = replace(cluster.spec, datastore_ready=False)
    return replace(_cluster(found), metadata=metadata, spec=spec)


async def _set_ready(store: Datastore, ready: bool) -> bool:
    changed = False

    def change(found: Resource) -> Resource | None:
        nonlocal changed
        cluster = _cluster(found)
        if ready and mark_of(cluster):
            raise HalfImported(
                f"an import into this datastore ({mark_of(cluster)}) has not come to its end, and "
                "nodes must not follow the half of it: run `tortie datastore migrate import` again"
            )
        was = cluster.spec.datastore_ready
        changed = was is not ready and (not ready or was is False)
        spec = replace(cluster.spec, datastore_ready=ready)
        return replace(cluster, spec=spec) if was is not ready else None

    try:
        await update_with(store, CLUSTER, change)
    except NotFound:
        return False
    return changed


def _cluster(found: Resource) -> ClusterInformation:
    assert isinstance(found, ClusterInformation)
    return found
