"""Files that are whole at any moment: complete before they get their names, on disk before that."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STAGING = ".tortie-new-"


def write(path: Path, data: bytes, mode: int) -> bool:
    """Have a file be as given; returns whether it was another one before, or none.

    A program that runs from the file before goes on with it. Raises OSError.
    """
    if _is_already(path, data, mode):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named(path), staging(path) as new:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        new.rename(path)
        sync(path.parent)
    return True


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors name the file: the kernel's of a full disk do not."""
    try:
        yield
    except OSError as problem:
        if problem.filename is not None:
            raise
        raise OSError(problem.errno, problem.strerror, str(path)) from None


def _is_already(path: Path, data: bytes, mode: int) -> bool:
    try:
        found = path.lstat()
        same = found.st_mode == 0o100000 | mode and found.st_uid == os.geteuid()
        return same and found.st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A name beside a file's own for what is not complete yet; nothing has it afterwards."""
    new = path.with_name(f"{_STAGING}{os.getpid()}-{path.name}")
    _discard(new)
    try:
        yield new
    finally:
        _discard(new)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def left_behind(folder: Path) -> list[Path]:
    """What an installer that was killed had not completed."""
    return sorted(folder.glob(f"{_STAGING}*"))


def remove(path: Path) -> bool:
    """Remove a file; returns whether there was one. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync(path.parent)
    return True


def sync(folder: Path) -> None:
    """Have the names in a folder outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """What tells two contents apart."""
    return hashlib.sha256(data).hexdigest()
