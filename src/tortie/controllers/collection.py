"""The controller that gives back leaked addresses and spare blocks, pass by pass."""

import asyncio

import structlog

from tortie.controllers.collector import Collector, Pass
from tortie.controllers.controller import Context, Controller
from tortie.datastore import DatastoreError, NotLeading
from tortie.ipam import IpamError

_AFTER_FAILURE = 10.0  # seconds
_log = structlog.get_logger(__name__)


async def _run(context: Context) -> None:
    """One after the other. A datastore that is away is waited for; what was seen is remembered."""
    collector = Collector(context.datastore.store, context.settings.current.grace)
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
        await _period(context)


async def _period(context: Context) -> None:
    """Until the next pass; a shorter period holds at once."""
    while True:
        settings = context.settings.current
        try:
            async with asyncio.timeout(settings.period):
                while context.settings.current.period == settings.period:
                    await context.settings.changed()
        except TimeoutError:
            return


def _tell(done: Pass) -> None:
    if done.released or done.given_up:
        _log.info(
            "collected",
            released=[str(one) for one in done.released[:20]],
            addresses=len(done.released),
            blocks=done.given_up,
        )


CONTROLLER = Controller(name="collection of leaked addresses", switch="node", run=_run)
