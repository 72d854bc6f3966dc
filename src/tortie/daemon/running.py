"""A daemon's run: its pages, a watchdog on its loop, and an end by signal or by its own fault."""

import asyncio
import signal
import socket
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from tortie.daemon.http import HttpServer, Pages
from tortie.daemon.watchdog import LoopWatchdog

if TYPE_CHECKING:
    from ssl import SSLContext

_STALL = 10.0  # seconds that the event loop may stand still before its stack is logged

_AGAIN = 5.0  # seconds for a task to end, before it is cancelled again

Service = Callable[[], Coroutine[object, object, None]]

_log = structlog.get_logger(__name__)


def stopped_by_signal() -> asyncio.Event:
    """An event of the running loop that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def listen(
    pages: Pages,
    host: str,
    port: int,
    opened: AsyncExitStack,
    tls: "SSLContext | None" = None,
) -> int:
    """Serve pages until `opened` is closed. Returns the port. Raises OSError."""
    server = HttpServer(pages)
    try:
        bound = await server.start(host, port, tls)
    except (socket.gaierror, UnicodeError) as problem:  # which do not say of what
        reason = getattr(problem, "strerror", None) or "no host can have that name"
        raise OSError(f"{host!r} is no address to listen on: {reason}") from None
    opened.push_async_callback(server.close)
    return bound


def watch_loop(opened: AsyncExitStack) -> None:
    """Have the log say where the running loop stood still, until `opened` is closed."""
    watchdog = LoopWatchdog(_STALL, _stalled)
    watchdog.start()
    opened.callback(watchdog.stop)


async def run_until(stop: asyncio.Event, work: Sequence[Service]) -> None:
    """Run `work` until `stop` is set, or until one of it ends by itself; raises what it raised."""
    tasks = [asyncio.create_task(one()) for one in work]
    stopper = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopper, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopper.cancel()
        ends = await ended(tasks)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def ended(tasks: Sequence[asyncio.Task[None]]) -> list[BaseException | None]:
    """End tasks; gives how each ended. One that goes on is cancelled again, after a while.

    gRPC loses a cancellation that comes at the same moment as its answer.
    """
    pending: Collection[asyncio.Task[None]] = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN)
    return await asyncio.gather(*tasks, return_exceptions=True)


def _stalled(seconds: float, stack: str) -> None:
    _log.error("the event loop stands still", seconds=round(seconds, 1), stack=stack)
