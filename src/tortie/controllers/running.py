"""What a process does while it leads: one feed of each store, and the controllers around it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack

import structlog

from tortie.controllers.controller import Context, Controller, Side, Sides
from tortie.controllers.feed import Feed
from tortie.controllers.live import Live
from tortie.controllers.metrics import Metrics
from tortie.controllers.registry import chosen
from tortie.controllers.settings import Settings
from tortie.daemon.health import Health
from tortie.daemon.running import ended
from tortie.datastore import Closed, Datastore, DatastoreError, NotLeading
from tortie.sync import SyncWarning

_AFTER_FAILURE = 10.0  # seconds
_log = structlog.get_logger(__name__)


class Reign:
    """The controllers on these stores; `kubernetes` only where it is not the datastore."""

    def __init__(
        self,
        sides: Sides,
        datastore: Datastore,
        kubernetes: Datastore | None,
        settings: Live[Settings],
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._sides, self._settings = sides, settings
        self._datastore, self._kubernetes = datastore, kubernetes
        self._health, self._metrics = health, metrics
        self._feeds: dict[str, Feed] = {}

    async def run(self) -> None:
        """Until cancelled. Other controllers are begun, and ended, as the settings change.

        Raises NotLeading.
        """
        while True:
            running = chosen(self._settings.current, self._sides)
            _log.info("controllers run", names=[one.name for one in running])
            async with AsyncExitStack() as ended:
                tasks = [asyncio.create_task(work) for work in self._work(running, ended)]
                tasks.append(asyncio.create_task(self._others_chosen(running)))
                await _until_one_ends(tasks)

    def outages(self) -> dict[str, str]:
        """Why a store can't be followed now, by the store's part in this; empty while it can."""
        return {name: feed.outage for name, feed in self._feeds.items()}

    def _work(
        self, running: tuple[Controller, ...], ended: AsyncExitStack
    ) -> list[Coroutine[None, None, None]]:
        datastore, kubernetes = self._both_sides(running)
        self._feeds = {"the datastore": datastore.feed}
        if kubernetes is not None and kubernetes is not datastore:
            self._feeds["Kubernetes"] = kubernetes.feed
        contexts = [
            (
                one,
                Context(
                    sides=self._sides,
                    datastore=datastore,
                    kubernetes=kubernetes,
                    settings=self._settings,
                    metrics=self._metrics,
                    waiting=self._part(one.name, ended),
                ),
            )
            for one in running
        ]
        return [
            *(_followed(feed) for feed in self._feeds.values()),
            *(_again_and_again(one, context) for one, context in contexts),
        ]

    def _both_sides(self, running: tuple[Controller, ...]) -> tuple[Side, Side | None]:
        own = {kind for one in running for kind in one.follows}
        theirs = {kind for one in running for kind in one.follows_kubernetes}
        if self._sides.backend == "kubernetes":
            side = Side(self._datastore, Feed(self._datastore, own | theirs, _warn))
            return side, side
        datastore = Side(self._datastore, Feed(self._datastore, own, _warn))
        if self._kubernetes is None:
            return datastore, None
        return datastore, Side(self._kubernetes, Feed(self._kubernetes, theirs, _warn))

    def _part(self, name: str, ended: AsyncExitStack) -> Callable[[str], None]:
        self._health.register(name, 0, "it has only just begun")
        ended.callback(self._health.ready, name)
        return lambda reason: self._health.waiting(name, reason)

    async def _others_chosen(self, running: tuple[Controller, ...]) -> None:
        while chosen(self._settings.current, self._sides) == running:
            await self._settings.changed()


async def _until_one_ends(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Then cancel the others, and raise what it raised."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ends = await ended(tasks)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _followed(feed: Feed) -> None:
    await feed.run()
    raise Closed("the store was closed here")


async def _again_and_again(controller: Controller, context: Context) -> None:
    """Run it; after a failure again, so that one that fails stops no other."""
    while True:
        try:
            await controller.run(context)
            return
        except NotLeading:
            raise
        except Exception as problem:
            known = isinstance(problem, DatastoreError)
            _log.error(
                "a controller ended",
                controller=controller.name,
                problem=str(problem),
                exc_info=None if known else problem,
            )
            context.waiting(f"it ended: {problem}")
        await asyncio.sleep(_AFTER_FAILURE)


def _warn(warning: SyncWarning) -> None:
    _log.warning(str(warning))
