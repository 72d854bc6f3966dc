"""Changes of resources as they come, for `get --watch`."""

from collections.abc import AsyncIterator, Sequence

from tortie.api import Key, Kind, Resource
from tortie.cli.derived import shown_as, sources_of
from tortie.cli.terminal import warn
from tortie.datastore import Datastore, Deleted, Malformed


async def changes(
    store: Datastore, kinds: Sequence[Kind], since: int
) -> AsyncIterator[tuple[Key, Kind, Resource | None]]:
    """The key of what is stored, the kind as which it is shown, and its new value, for ever.

    The value is None where there is nothing to show any more: it is deleted, or stands for nothing.
    Of several that a Pod stands for, each that goes is told by its own key.
    """
    kind_of = {source: kind for kind in kinds for source in sources_of(store, kind.name)}
    shown: dict[Key, frozenset[Key]] = {}  # of what stands for several things, since the start
    async for batch in store.watch(tuple(kind_of), since):
        for event in batch.events:
            kind = kind_of[event.key.kind]
            if isinstance(event, Malformed):
                warn(f"{event.key} can't be read: {event.reason}")
                continue
            found = () if isinstance(event, Deleted) else shown_as(kind.name, event.resource)
            if not found:
                shown.pop(event.key, None)
                yield event.key, kind, None
                continue
            now = frozenset(one.key for one in found)
            for gone in sorted(shown.pop(event.key, now) - now):
                yield gone, kind, None
            if len(found) > 1:
                shown[event.key] = now
            for one in found:
                yield event.key, kind, one
