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


async def _run(context: Context) -> None:
    """One after the other. A datastore that is away is waited for; what was seen is remembered."""
    collector = Collector(context.datastore.store, context.settings.current.grace)
    hurry = asyncio.Event()
    feed = context.datastore.feed
    end = feed.subscribe(("Node",), lambda key: None if feed.get(key) else hurry.set())
    try:
        await _passes(context, collector, hurry)
    finally:
        end()


async def _passes(context: Context, collector: Collector, hurry: asyncio.Event) -> None:
    looks = 0
    while True:
        settings = context.settings.current
        collector.grace = settings.grace
        try:
            done = await collector.collect()
        except NotLeading:
            raise
        except (DatastoreError, IpamError) as problem:
            context.metrics.failed()
            context.waiting(str(problem))
            _log.warning("leaked addresses could not be collected", problem=str(problem))
            await asyncio.sleep(_AFTER_FAILURE)
            continue
        context.metrics.note(done)
        context.waiting("")
        _tell(done)
        if hurry.is_set():
            hurry.clear()
            looks = _LOOKS
        if looks:
            looks -= 1
            await asyncio.sleep(_SOON)
        else:
            await _period(context, hurry)


async def _period(context: Context, hurry: asyncio.Event) -> None:
    """Until the next pass, or until a node goes; a shorter period holds at once."""
    end = context.settings.subscribe(hurry.set)
    try:
        async with asyncio.timeout(context.settings.current.period):
            await hurry.wait()
    except TimeoutError:
        return
    finally:
        end()


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
