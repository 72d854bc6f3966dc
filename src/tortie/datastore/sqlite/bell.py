"""How a commit in one process wakes the watchers in others, at no cost while nothing happens.

Each writer writes one byte into the bell file after its commit; watchers hear of it by inotify.
The write-ahead log itself can't serve: it is written before the commit becomes visible.
"""

import asyncio
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_MODIFY = 0x2
_DRAIN = 64 << 10  # bytes of events read at once; what they say does not matter


class Bell:
    """Wakes the waiting tasks of one event loop when somebody committed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._waiting: set[asyncio.Event] = set()

    @property
    def rings(self) -> bool:
        """Whether commits are heard: the kernel may have no inotify instance to spare."""
        return self._descriptor >= 0

    @contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """An event that is set after each commit of any process, and on `wake`."""
        waker = asyncio.Event()
        if not self._waiting:
            self._listen()
        self._waiting.add(waker)
        try:
            yield waker
        finally:
            self._waiting.discard(waker)
            if not self._waiting:
                self._hang_up()

    def wake(self) -> None:
        """Wake all that wait."""
        for waker in self._waiting:
            waker.set()

    def _listen(self) -> None:
        try:
            self._descriptor = _inotify(self._path)
        except OSError:
            return  # `rings` is False: those who wait look by themselves
        asyncio.get_running_loop().add_reader(self._descriptor, self._on_event)

    def _hang_up(self) -> None:
        if self.rings:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _on_event(self) -> None:
        os.read(self._descriptor, _DRAIN)
        self.wake()


def _inotify(path: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    if libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_MODIFY) < 0:
        number = ctypes.get_errno()
        os.close(descriptor)
        raise OSError(number, "inotify_add_watch")
    return descriptor
