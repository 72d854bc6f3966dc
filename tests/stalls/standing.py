"""Processes that stand still for a while, and which there are."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_ENDED = "ZX"
_STOPPED = "T"  # by somebody else, who lets it go as well


def below(root: int) -> set[int]:
    """The processes that one has started, and those that these have; without itself."""
    parents = {pid: parent for pid in _all() if (parent := _parent(pid))}
    found, before = {root}, set[int]()
    while found != before:
        before = found
        found = found | {pid for pid, parent in parents.items() if parent in found}
    return found - {root}


@contextmanager
def standing_still(pids: Iterable[int]) -> Iterator[None]:
    """They do nothing while the body runs. One that is gone is left out."""
    with ExitStack() as stopped:
        for pid in pids:
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)  # its number may be another's in a moment
                stopped.callback(os.close, descriptor)
                signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
                stopped.callback(_let_go, descriptor)
        yield


def _let_go(descriptor: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, signal.SIGCONT)


def _all() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())


def _parent(pid: int) -> int:
    """0: it is gone, has ended, or stands still already."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if state in _ENDED + _STOPPED else int(parent)
