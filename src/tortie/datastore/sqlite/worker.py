"""One thread that does an event loop's blocking work, in order.

Handing work to a thread and its result back costs more than most work on a small file. So what
waits is done in one go, and the loop is woken once for all of it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

TOGETHER = 16  # results at most that wait for each other: the first one's caller could go on

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[], Any]
    future: asyncio.Future[Any]


class _Done(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    problem: BaseException | None


class Worker:
    """Belongs to one event loop."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._jobs: deque[_Job] = deque()
        self._busy = False  # the thread is, or is about to be; touched in the loop only

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or what it raised. It is not done if nobody waits any more when
        its turn comes.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append(_Job(work, future))
        if not self._busy:
            self._busy = True
            self._thread.submit(self._drain, loop)
        return await future

    def end(self) -> None:
        """Take nothing more. Returns at once."""
        self._thread.shutdown(wait=False)

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: all that waits, and what comes meanwhile."""
        done: list[_Done] = []
        while self._jobs:
            job = self._jobs.popleft()
            if not job.future.cancelled():
                done.append(_do(job))
            if len(done) == TOGETHER:
                loop.call_soon_threadsafe(_tell, done)
                done = []
        loop.call_soon_threadsafe(self._ended, done, loop)

    def _ended(self, done: Sequence[_Done], loop: asyncio.AbstractEventLoop) -> None:
        _tell(done)
        if self._jobs:  # they came when the thread had looked for the last time
            self._thread.submit(self._drain, loop)
        else:
            self._busy = False


def _do(job: _Job) -> _Done:
    try:
        return _Done(job.future, job.work(), None)
    except BaseException as problem:  # whoever waits for it is told
        return _Done(job.future, None, problem)


def _tell(done: Sequence[_Done]) -> None:
    for future, result, problem in done:
        if future.done():  # nobody waits any more
            continue
        if problem is None:
            future.set_result(result)
        else:
            future.set_exception(problem)
