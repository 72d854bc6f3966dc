"""Lets etcd forget old revisions: it never does by itself, and its disk fills up.

What was written within the last period stays, so that who watches can be that far behind.
"""

import asyncio

import structlog

from tortie.controllers.controller import Context, Controller
from tortie.controllers.fenced import FencedStore
from tortie.datastore import DatastoreError, NotLeading

_log = structlog.get_logger(__name__)


async def _run(context: Context) -> None:
    fenced = context.datastore.store
    assert isinstance(fenced, FencedStore)
    from tortie.datastore.etcd import EtcdDatastore  # where there is one it is loaded already

    store = fenced.inner
    assert isinstance(store, EtcdDatastore)
    revision = await store.revision()
    while True:
        context.waiting("")
        await _period(context)
        try:
            now = await store.revision()
            fenced.check()
            await store.compact(revision)
        except NotLeading:
            raise
        except DatastoreError as problem:
            _log.warning("etcd could not be compacted", problem=str(problem))
            continue
        _log.debug("compacted", revision=revision)
        revision = now


async def _period(context: Context) -> None:
    """Wait for one; begin anew where the settings change it, for ever where there is none."""
    while True:
        period = context.settings.current.compaction
        try:
            async with asyncio.timeout(period or None):
                while context.settings.current.compaction == period:
                    await context.settings.changed()
        except TimeoutError:
            return


CONTROLLER = Controller(
    name="compaction of etcd", switch="", run=_run, belongs=lambda sides: sides.backend == "etcd"
)
