"""A folder as a layer: the same files always give the same bytes."""

import gzip
import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from typing import NamedTuple

_LEVEL = 6


class Layer(NamedTuple):
    """A compressed layer; `plain` and `packed` are the digests of its two forms (hex)."""

    path: Path
    size: int
    plain: str
    packed: str


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """What is there, to tell later what came since: size or target by path."""
    return {str(path.relative_to(root)): _mark(path) for path in root.rglob("*")}


def _mark(path: Path) -> tuple[int, str]:
    if path.is_symlink():
        return 0, os.readlink(path)
    return (path.stat().st_size if path.is_file() else -1), ""


def pack(root: Path, before: dict[str, tuple[int, str]], target: Path, epoch: int) -> Layer:
    """All that is in `root` and was not before, owned by root, as old as `epoch`."""
    raw = target.with_suffix(".raw")
    with tarfile.open(raw, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if before.get(name) == _mark(path):
                continue
            entry = archive.gettarinfo(path, name)
            if not (entry.isfile() or entry.isdir() or entry.issym() or entry.islnk()):
                continue
            entry.uid = entry.gid = entry.mtime = 0
            entry.mtime, entry.uname, entry.gname = epoch, "", ""
            if entry.islnk():  # which of two names comes first is the disk's choice
                entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
            if entry.isfile():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)
    plain = _digest(raw)
    with (
        raw.open("rb") as source,
        target.open("wb") as sink,
        gzip.GzipFile("", "wb", _LEVEL, sink, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed, 1 << 20)
    raw.unlink()
    return Layer(target, target.stat().st_size, plain, _digest(target))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
