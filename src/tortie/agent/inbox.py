"""What came up since the last turn, merged.

While a turn runs, updates of one key overwrite each other here, so a burst costs one turn.
"""

import asyncio
from collections.abc import Iterable

from tortie.agent.pipeline import KeyValue, LinkEvent, Work
from tortie.api import Key, Resource
from tortie.engine.configuration import Configuration
from tortie.policy.program import EndpointId
from tortie.sync.stream import InSync, Item, Progress, Update


class Inbox:
    """Filled by the event loop's tasks, emptied by the one that runs turns."""

    def __init__(self) -> None:
        self._ready = asyncio.Event()
        self._updates: dict[Key, Resource | None] = {}
        self._links: dict[str, str] = {}
        self._in_sync = False
        self._retry = False
        self._resync = False
        self._drifted: set[str] = set()
        self._configuration: Configuration | None = None
        self.revision = 0  # the datastore's, of which all changes have been put here

    def put(self, items: Iterable[Item]) -> list[KeyValue]:
        """Take a batch of the stream; returns its updates."""
        updates: list[KeyValue] = []
        for item in items:
            match item:
                case Update(key, value):
                    updates.append((key, value))
                case InSync():
                    self._in_sync = True
                case Progress(revision):
                    self.revision = max(self.revision, revision)
        self._updates.update(updates)
        self._ready.set()
        return updates

    def link(self, name: str, event: str) -> None:
        """A link is now "up", "down" or "gone"; only its last state counts."""
        self._links[name] = event
        self._ready.set()

    def retry(self) -> None:
        """What failed is due again."""
        self._retry = True
        self._ready.set()

    def resync(self) -> None:
        """The kernel is to be compared with what is desired."""
        self._resync = True
        self._ready.set()

    def drifted(self, driver: str) -> None:
        """Somebody may have changed what is this driver's."""
        self._drifted.add(driver)
        self._ready.set()

    def configure(self, configuration: Configuration) -> None:
        """Other settings are to be in force, before anything else is written."""
        self._configuration = configuration
        self._ready.set()

    def poke(self) -> None:
        """Have a turn though nothing came, to look at what is watched."""
        self._ready.set()

    async def wait(self) -> None:
        """Return once there is something to do."""
        await self._ready.wait()

    def take(self, watched: frozenset[EndpointId]) -> Work:
        """Everything so far, as one turn's work."""
        work = Work(
            updates=tuple(self._updates.items()),
            in_sync=self._in_sync,
            links=tuple(LinkEvent(name, event) for name, event in self._links.items()),
            retry=self._retry,
            resync=self._resync,
            drifted=frozenset(self._drifted),
            configuration=self._configuration,
            watched=watched,
        )
        self._updates = {}
        self._links = {}
        self._drifted = set()
        self._configuration = None
        self._retry = self._resync = False
        self._ready.clear()
        return work
