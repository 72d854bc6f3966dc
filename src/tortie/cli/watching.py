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
    """
    kind_of = {source: kind for kind in kinds for source in sources_of(kind.name)}
    async for batch in store.watch(tuple(kind_of), since):
        for event in batch.events:
            kind = kind_of[event.key.kind]
            if isinstance(event, Malformed):
                warn(f"{event.key} can't be read: {event.reason}")
            elif isinstance(event, Deleted):
                yield event.key, kind, None
            else:
                yield event.key, kind, shown_as(kind.name, event.resource)
