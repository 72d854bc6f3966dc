"""The controller that gives back leaked addresses and spare blocks, pass by pass."""

import asyncio

import structlog

from tortie.controllers.collector import Collector, Pass
from tortie.controllers.controller import Context, Controller
from tortie.datastore import DatastoreError, NotLeading
from tortie.ipam import IpamError

_AFTER_FAILURE = 10.0  # seconds
_SOON = 10.0  # seconds between passes after a node has gone: nothing of it has to be waited for
_LOOKS = 3  # at what it left: two for its addresses, then its blocks are spare
_log = structlog.get_logger(__name__)


class _Pace:
    """When to look next: after a period, after new settings, and soon after a node has gone."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._woken = asyncio.Event()
        self._soon = 0

    def node_went(self) -> None:
        """Some looks soon."""
        self._soon = _LOOKS
        self._woken.set()

    async def next(self) -> None:
        """Wait for it."""
        if self._soon:
            self._soon -= 1
            await asyncio.sleep(_SOON)
            return
        self._woken.clear()
        end = self._settings.subscribe(self._woken.set)
        try:
            async with asyncio.timeout(self._settings.current.period):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            end()


async def _run(context: Context) -> None:
    """One pass after the other. A datastore that is away is waited for; what was seen is kept."""
    collector = Collector(context.datastore.store, context.settings.current.grace)
    pace, feed = _Pace(context), context.datastore.feed
    end = feed.subscribe(("Node",), lambda key: None if feed.get(key) else pace.node_went())
    try:
        while True:
            collector.grace = context.settings.current.grace
            if await _passed(context, collector):
                await pace.next()
            else:
                await asyncio.sleep(_AFTER_FAILURE)
    finally:
        end()
        context.metrics.forget()


async def _passed(context: Context, collector: Collector) -> bool:
    try:
        done = await collector.collect()
    except NotLeading:
        raise
    except (DatastoreError, IpamError) as problem:
        context.metrics.failed()
        context.waiting(str(problem))
        _log.warning("leaked addresses could not be collected", problem=str(problem))
        return False
    context.metrics.note(done)
    context.waiting("")
    _tell(done)
    return True


def _tell(done: Pass) -> None:
    if done.released or done.given_up:
        _log.info(
            "collected",
            released=[str(one) for one in done.released[:20]],
            addresses=len(done.released),
            blocks=done.given_up,
        )


CONTROLLER = Controller(
    name="collection of leaked addresses", switch="node", run=_run, follows=("Node",)
)
