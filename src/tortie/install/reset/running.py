"""Who must not run while a node is cleaned: an agent, BGP."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tortie.agent.runlock import NamespaceLock, RunLock
from tortie.bgp.places import FOLDER


@contextmanager
def nobody_else(run_dir: Path) -> Iterator[None]:
    """No agent and no BGP until the end of the block. Raises AlreadyRunning, OSError."""
    with ExitStack() as held:
        held.callback(NamespaceLock().release)
        for folder in (run_dir, run_dir / FOLDER):
            if folder.is_dir() and any(folder.iterdir()):  # else a lock would be all there is
                held.callback(RunLock(os.fspath(folder)).release)
        yield
