"""How a commit in one process wakes the watchers in others, at no cost while nothing happens.

Each writer writes one byte into the bell file after its commit; watchers hear of it by inotify.
The write-ahead log itself can't serve: it is written before the commit becomes visible. A writer
that is killed between the two rings too: the kernel closes the file that it had open for writing.
"""

import asyncio
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tortie.datastore.sqlite.clapper import bell_path, same_file

_IN_MODIFY, _IN_ATTRIB, _IN_CLOSE_WRITE = 0x2, 0x4, 0x8
_IN_DELETE_SELF, _IN_MOVE_SELF = 0x400, 0x800
_RUNG = _IN_MODIFY | _IN_CLOSE_WRITE
_REMOVED = _IN_ATTRIB | _IN_MOVE_SELF  # of a file that is open, its removal is a change of links
_MOVED = _IN_DELETE_SELF | _IN_MOVE_SELF  # of a folder that the files are in
_DRAIN = 64 << 10  # bytes of events read at once; what they say does not matter


class Bell:
    """Wakes the waiting tasks of one event loop when somebody committed, or took the store away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._bell = -1  # kept open so that its removal is noticed at once
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
            self._bell = os.open(
                bell_path(self._path), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            self._descriptor = _inotify(self._path, bell_path(self._path))
        except OSError:
            self._hang_up()  # `rings` is False: those who wait look by themselves
            return
        asyncio.get_running_loop().add_reader(self._descriptor, self._on_event)

    def _hang_up(self) -> None:
        if self.rings:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        for descriptor in (self._descriptor, self._bell):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._bell = -1

    def _on_event(self) -> None:
        os.read(self._descriptor, _DRAIN)
        if not same_file(bell_path(self._path), self._bell):
            self._hang_up()
            self._listen()
        self.wake()


def _inotify(path: Path, bell: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    for file, events in ((path, _REMOVED), (bell, _RUNG | _REMOVED)):
        if libc.inotify_add_watch(descriptor, os.fsencode(file), events) < 0:
            number = ctypes.get_errno()
            os.close(descriptor)
            raise OSError(number, "inotify_add_watch")
    for folder in path.resolve().parents:  # where we may not look, nobody else is told for us
        libc.inotify_add_watch(descriptor, os.fsencode(folder), _MOVED)
    return descriptor
