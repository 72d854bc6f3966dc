"""One agent per run directory, and one per network namespace.

Both locks are the kernel's (flock; a name among the namespace's abstract sockets): they are gone
the moment their process is, kill -9 included, so there is never a stale lock to clear.
"""

import errno
import fcntl
import os
import socket
import struct
from contextlib import suppress

NAME = "agent.lock"
"""In each run directory that was ever used."""
_NAME = "\0tortie-agent"  # abstract names are each network namespace's own
_CREDENTIALS = struct.Struct("3i")  # process, user, group


class AlreadyRunning(Exception):
    """Another agent holds the run directory, or programs the same network namespace."""


class RunLock:
    """Holds a run directory from its making until `release`.

    Raises AlreadyRunning with the other's process id, or OSError where the directory can't be
    made or is not ours alone to write.
    """

    def __init__(self, run_dir: str) -> None:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        _check_ours(run_dir)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(os.path.join(run_dir, NAME), flags, 0o600)
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


class NamespaceLock:
    """Holds the calling thread's network namespace from its making until `release`.

    Two agents with run directories of their own would undo each other's rules and routes for ever.
    Raises AlreadyRunning with the other's process id.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(_NAME)
            self._socket.listen(1)  # so that a later one can ask whose it is
        except OSError as problem:
            self._socket.close()
            if problem.errno != errno.EADDRINUSE:
                raise
            raise AlreadyRunning(
                f"another agent (process {_holder()}) already programs this network namespace:"
                " stop it first, or run this one in a namespace of its own"
            ) from None

    def release(self) -> None:
        """Let another agent start."""
        self._socket.close()


def _holder() -> str:
    """The process that holds the namespace, as this one's PID namespace numbers it."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.settimeout(1)
        asker.connect(_NAME)
        found = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, _, _ = _CREDENTIALS.unpack(found)
        return str(process) if process else "of another container"
    return "unknown"


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
