"""A datastore into a file: what it holds, proved to be of one moment.

Kinds are read one after the other, and then all are read once more: an object that is the same
object at the same revision both times was so in between. Other proofs depend on the store: the
revision of a shared etcd, or of a Kubernetes API, rises with what is none of ours.
"""

from collections.abc import Collection
from contextlib import aclosing
from typing import IO, Protocol

from msgspec.structs import replace

from tortie.api import Key, Resource
from tortie.datastore.contract import Conflict, Datastore, DatastoreError, Malformed
from tortie.datastore.migrate.content import digest_of
from tortie.datastore.migrate.locking import check_exportable
from tortie.datastore.migrate.order import CLUSTERS_OWN
from tortie.datastore.migrate.stream import End, Writer
from tortie.datastore.migrate.survey import Found, Survey, Target, stored_kinds, survey, target_of

_TOLD = 10  # of objects of one trouble


class Progress(Protocol):
    """Who is told how far the work is."""

    def begin(self, what: str, total: int | None) -> None:
        """A part of the work begins; `total` objects, where that is known."""
        ...

    def advance(self, what: str, count: int) -> None:
        """So many more of it are done."""
        ...

    def done(self) -> None:
        """All of the part is done."""
        ...


async def export(store: Datastore, file: IO[bytes], release: str, progress: Progress) -> End:
    """Write all that the store holds. Raises DatastoreError, OSError; the file has no end then.

    NotLocked, HalfImported; Conflict where something changed meanwhile.
    """
    await check_exportable(store)
    writer = Writer(file, release, await store.identity())
    kinds = stored_kinds(store)
    written: dict[Key, Found] = {}
    for kind in kinds:
        progress.begin(f"exporting {kind}", None)
        await _export_kind(store, kind, writer, written, progress)
        progress.done()
    progress.begin("looking whether anything changed", len(written))
    now = await survey(store, kinds, lambda _, count: progress.advance("", count))
    progress.done()
    _check_unchanged(written, now, target_of(store))
    await check_exportable(store)
    return writer.end()


async def _export_kind(
    store: Datastore, kind: str, writer: Writer, written: dict[Key, Found], progress: Progress
) -> None:
    broken: list[Malformed] = []
    async with aclosing(store.pages(kind)) as pages:
        async for page in pages:
            broken += page.malformed
            for one in page.resources:
                writer.add(_exported(one))
                revision = one.metadata.resource_version
                written[one.key] = Found(digest_of(one), revision, None)
            progress.advance(kind, len(page.resources))
    if broken:
        raise DatastoreError(_told("can't be read, so it can't be exported", broken))


def _exported(resource: Resource) -> Resource:
    metadata = replace(resource.metadata, managed_fields=None)
    return replace(resource, metadata=metadata)


def _check_unchanged(before: dict[Key, Found], now: Survey, source: Target) -> None:
    changed = sorted(
        key
        for key in {*before, *now.objects}
        if not _is_same(key, before.get(key), now.objects.get(key), source)
    )
    changed += sorted(broken.key for broken in now.malformed)
    if changed:
        names = ", ".join(map(str, changed[:_TOLD]))
        more = f" and {len(changed) - _TOLD} more" if len(changed) > _TOLD else ""
        raise Conflict(
            f"the datastore changed while it was exported: {names}{more}. The file is not whole: "
            "find out who writes, and export again"
        )


def _is_same(key: Key, before: Found | None, now: Found | None, source: Target) -> bool:
    if before is None or now is None:
        return False
    if source is Target.KUBERNETES and key.kind in CLUSTERS_OWN | {"Node"}:
        return before.digest == now.digest  # kubelets say every few seconds that they live
    return before.revision == now.revision


def _told(what: str, broken: Collection[Malformed]) -> str:
    first = next(iter(broken))
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return f"{first.key} {what}{more}: {first.reason}. Replace it, or delete it"
