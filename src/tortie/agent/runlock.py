"""One agent per run directory.

The lock is the kernel's (flock): it is gone the moment its process is, kill -9 included, so there
is never a stale lock to clear.
"""

import fcntl
import os


class AlreadyRunning(Exception):
    """Another agent holds the run directory."""


class RunLock:
    """Holds a run directory from its making until `release`.

    Raises AlreadyRunning with the other's process id, or OSError where the directory can't be
    made.
    """

    def __init__(self, run_dir: str) -> None:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        self._file = os.open(
            os.path.join(run_dir, "agent.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise AlreadyRunning(
                f"another agent (process {holder}) already runs on {run_dir}:"
                " stop it first, or give this one a --run-dir of its own"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another agent start."""
        os.close(self._file)
