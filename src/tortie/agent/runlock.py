"""One agent per run directory.

The lock is the kernel's (flock): it is gone the moment its process is, kill -9 included, so there
is never a stale lock to clear.
"""

import errno
import fcntl
import os
from contextlib import suppress


class AlreadyRunning(Exception):
    """Another agent holds the run directory."""


class RunLock:
    """Holds a run directory from its making until `release`.

    Raises AlreadyRunning with the other's process id, or OSError where the directory can't be
    made or is not ours alone to write.
    """

    def __init__(self, run_dir: str) -> None:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        _check_ours(run_dir)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(os.path.join(run_dir, "agent.lock"), flags, 0o600)
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
        with suppress(OSError):  # a full disk: the lock holds without a name on it
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another agent start."""
        os.close(self._file)


def _check_ours(run_dir: str) -> None:
    """Whoever can write there could have us follow links of theirs, or another datastore."""
    found = os.stat(run_dir)
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(
            errno.EPERM,
            "others can write in it: make it this user's own and take away their right"
            " (chmod go-w), or use another --run-dir",
            run_dir,
        )
