"""The bell file, and the writer's end of it: see `tortie.datastore.sqlite.bell`.

What is rung is also a witness: the last revision that was committed, of which store, since which
start of the machine. A log that was damaged reads as one that ends earlier, and only the witness
tells. A power cut may cost commits (docs/datastore.md), so nothing is held against another start.
"""

import os
import zlib
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


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

    def __init__(self, path: Path, identity: str) -> None:
        self._path = bell_path(path)
        self._identity = identity
        self._boot = _boot()
        self._descriptor = -1

    def witnessed(self) -> int:
        """The last revision that was told since the machine started; 0 where none was."""
        said = self._path.read_bytes()
        try:
            revision = int(said.split()[2])
        except (IndexError, ValueError):
            return 0
        return revision if said == _testimony(self._identity, self._boot, revision) else 0

    def ready(self) -> None:
        """Open the bell, again where somebody removed it. Raises OSError."""
        if self._descriptor < 0 or not same_file(self._path, self._descriptor):
            self.close()
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def ring(self, revision: int) -> None:
        """Wake all that listen, in this process and others: `revision` is committed."""
        os.pwrite(self._descriptor, _testimony(self._identity, self._boot, revision), 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _testimony(identity: str, boot: str, revision: int) -> bytes:
    """Of one length always, with a sum: it is read while others write."""
    said = f"{identity} {boot} {revision:020d}"
    return f"{said} {zlib.crc32(said.encode()):08x}\n".encode()


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return "unknown"
