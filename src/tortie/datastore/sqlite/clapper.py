"""The bell file, and the writer's end of it: see `tortie.datastore.sqlite.bell`."""

import os
from pathlib import Path


def bell_path(path: Path) -> Path:
    """The file that writers touch after each commit; beside `-wal` and `-shm`, named alike."""
    return path.with_name(path.name + "-bell")


def same_file(path: Path, descriptor: int) -> bool:
    """Whether the file that is open is still the one at `path`."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


class Clapper:
    """The writer's end of the bell: opened when first needed, since closing it rings."""

    def __init__(self, path: Path) -> None:
        self._path = bell_path(path)
        self._descriptor = -1

    def ready(self) -> None:
        """Open the bell, again where somebody removed it. Raises OSError."""
        if self._descriptor < 0 or not same_file(self._path, self._descriptor):
            self.close()
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def ring(self) -> None:
        """Wake all that listen, in this process and others."""
        os.pwrite(self._descriptor, b"\0", 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
