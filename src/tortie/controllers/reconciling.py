"""What most controllers do: look at each object that something touched, and put right what differs.

Nothing is looked at before both pictures are complete: an object that is only not known yet would
count as gone. All is looked at when the settings change, and from time to time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import ExitStack
from typing import NamedTuple, TypeVar

import structlog

from tortie.api import Key
from tortie.controllers.controller import Context, Side
from tortie.controllers.queue import Failure, Queue
from tortie.datastore import AlreadyExists, Conflict, DatastoreError, NotFound
from tortie.ipam import IpamError

T = TypeVar("T", bound=Hashable)

_RACES = (Conflict, AlreadyExists, NotFound)  # somebody was faster: the feed will tell soon
_log = structlog.get_logger(__name__)


class Watched(NamedTuple):
    """Kinds of a side; `touched` says which objects to look at after one of them changed."""

    side: Side
    kinds: tuple[str, ...]
    touched: Callable[[Key], Iterable[Hashable]]


def _nothing_more(add: Callable[[Hashable], None]) -> None:
    del add


class Job(NamedTuple):
    """What is looked at. `name` is the controller's; `period` in seconds, 0: only what changes."""

    name: str
    watched: tuple[Watched, ...]
    everything: Callable[[], Iterable[Hashable]]
    reconcile: Callable[[Hashable], Awaitable[None]]
    period: Callable[[], float]
    begun: Callable[[Callable[[Hashable], None]], None] = _nothing_more
    """Called with what has an object looked at soon, for what the job itself comes to know."""


async def reconcile_all(context: Context, job: Job) -> None:
    """Reconcile until cancelled."""
    queue: Queue[Hashable] = Queue(job.reconcile, _tell(job.name))
    context.metrics.failing[job.name] = lambda: len(queue.failures)
    job.begun(queue.add)
    with ExitStack() as subscribed:
        for watched in job.watched:
            end = watched.side.feed.subscribe(watched.kinds, _adder(queue, watched.touched))
            subscribed.callback(end)
        subscribed.callback(context.settings.subscribe(lambda: _add_all(queue, job)))
        subscribed.callback(context.metrics.failing.pop, job.name, None)
        for watched in job.watched:
            await _in_sync(context, watched.side)
        context.waiting("")
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.run())
            group.create_task(_from_time_to_time(queue, job))


async def _in_sync(context: Context, side: Side) -> None:
    context.waiting("the first picture of what it follows is not complete yet")
    await side.feed.in_sync.wait()


def _adder(
    queue: Queue[Hashable], touched: Callable[[Key], Iterable[Hashable]]
) -> Callable[[Key], None]:
    def add(key: Key) -> None:
        for item in touched(key):
            queue.add(item)

    return add


def _add_all(queue: Queue[Hashable], job: Job) -> None:
    for item in job.everything():
        queue.add(item)


async def _from_time_to_time(queue: Queue[Hashable], job: Job) -> None:
    while True:
        _add_all(queue, job)
        await asyncio.sleep(job.period() or 3600.0)


def _tell(name: str) -> Callable[[Hashable, Failure], None]:
    def tell(item: Hashable, failure: Failure) -> None:
        problem = failure.problem
        if isinstance(problem, _RACES) and failure.attempts < 3:
            return
        if isinstance(problem, DatastoreError | IpamError | ValueError):
            _log.warning(
                "will be tried again",
                controller=name,
                object=str(item),
                problem=str(problem),
                attempts=failure.attempts,
            )
        else:
            _log.error("a fault of ours", controller=name, object=str(item), exc_info=problem)

    return tell
