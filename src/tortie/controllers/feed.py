"""What a store holds of some kinds, followed once for all controllers.

Objects are as they are stored, but for parts of the largest (`kept`): what stands for a Pod or a
Namespace is the readers' to make. One that can't be read any more keeps its last good value, as
everywhere (`tortie.sync`).
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing

from tortie.api import Key, Resource
from tortie.controllers.kept import kept
from tortie.datastore import Datastore
from tortie.sync import InSync, Syncer, SyncWarning, Update
from tortie.sync.translator import StoredTranslator

Reader = Callable[[Key], None]


class Feed:
    """The objects of `kinds` of one store. `outage` says why they can't be followed now."""

    def __init__(
        self, store: Datastore, kinds: Collection[str], warn: Callable[[SyncWarning], None]
    ) -> None:
        self._empty = not kinds
        self._syncer = Syncer(store, sorted(kinds), warn, translator=StoredTranslator())
        self._objects: defaultdict[str, dict[Key, Resource]] = defaultdict(dict)
        self._readers: defaultdict[str, list[Reader]] = defaultdict(list)
        self.in_sync = asyncio.Event()
        """Set once everything that was there at the start is known."""

    @property
    def outage(self) -> str:
        """Why the store can't be followed now; empty while it can."""
        return self._syncer.outage.reason if self._syncer.outage else ""

    def objects(self, kind: str) -> Mapping[Key, Resource]:
        """All objects of a kind, as they were last seen."""
        return self._objects[kind]

    def get(self, key: Key) -> Resource | None:
        """One object as it was last seen."""
        return self._objects[key.kind].get(key)

    def subscribe(self, kinds: Iterable[str], reader: Reader) -> Callable[[], None]:
        """Call `reader` with the key of each object that changed; returns what ends that.

        It is called after the change is in `objects`, also before everything is in sync.
        """
        lists = [self._readers[kind] for kind in kinds]
        for readers in lists:
            readers.append(reader)

        def end() -> None:
            for readers in lists:
                readers.remove(reader)

        return end

    async def run(self) -> None:
        """Follow the store until it is closed."""
        if self._empty:
            self.in_sync.set()
            await asyncio.Event().wait()
        async with aclosing(self._syncer.stream()) as batches:
            async for batch in batches:
                for item in batch:
                    match item:
                        case Update(key, value):
                            self._take(key, value)
                        case InSync():
                            self.in_sync.set()
                await asyncio.sleep(0)  # a long first picture must not hold up a renewed lease

    def _take(self, key: Key, value: Resource | None) -> None:
        if value is None:
            self._objects[key.kind].pop(key, None)
        else:
            self._objects[key.kind][key] = kept(value)
        for reader in tuple(self._readers[key.kind]):
            reader(key)
