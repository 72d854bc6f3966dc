"""A thread that notices when the event loop stops turning.

A loop that is stuck can't answer its own liveness probe, so the orchestrator restarts the agent;
what it can't tell is where it was stuck. This thread can: it writes the stack of the loop's
thread to the log, once for each stall.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable


class LoopWatchdog:
    """Calls `on_stall(seconds, stack)` from its own thread when the loop stands still.

    Start it from the loop's own thread. `limit` is in seconds.
    """

    def __init__(self, limit: float, on_stall: Callable[[float, str], None]) -> None:
        self._limit = limit
        self._on_stall = on_stall
        self._beat = time.monotonic()
        self._stalled = False
        self._stop = threading.Event()
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch the running loop."""
        self._loop_thread = threading.get_ident()
        self._turn(asyncio.get_running_loop())
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; the thread ends soon after."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beat = time.monotonic()
        self._timer = loop.call_later(self._limit / 4, self._turn, loop)

    def _watch(self) -> None:
        while not self._stop.wait(self._limit / 2):
            still = time.monotonic() - self._beat
            if still <= self._limit:
                self._stalled = False
            elif not self._stalled:
                self._stalled = True
                self._on_stall(still, self._stack())

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""
