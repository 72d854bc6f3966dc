"""The interpreter that runs the plugin on the host.

On a host with Python it is the host's. Where the installer runs in a container, the host may have
no Python, no shell and another C library: then this very interpreter is brought along (`bundle`),
in a folder that is named by its content, so that a plugin that is just starting finds all of it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from tortie.cni.installer import elf, files
from tortie.cni.installer.bundle import LIBRARY, LOADER, OPTIONS, PYTHON, Part, output, parts
from tortie.cni.installer.errors import InstallError
from tortie.cni.installer.record import Record

HOSTS_OWN = Path("/usr/bin/python3")
PREFIX = ".tortie-python-"
_FORM = b"1"  # of such a folder: another one, where the same parts are put together otherwise
_LONGEST_LINE = 255  # bytes of a `#!` line, of the kernel since 5.1
_SECONDS = 60.0
_OLDEST = (3, 6)
_VERSION = "import sys, _socket; print(sys.version_info[0], sys.version_info[1])"


@cache
def hosts_own() -> Path:
    """The interpreter of this host: Debian's and others' own first, else the one that runs this.

    Its real name, since each link and virtual environment before it costs time.
    """
    if _fits(HOSTS_OWN):
        return HOSTS_OWN.resolve()
    return Path(sys.executable).resolve()


def _fits(path: Path) -> bool:
    if not os.access(path, os.X_OK):
        return False
    words = output(path, _VERSION).split()
    return len(words) == 2 and (int(words[0]), int(words[1])) >= _OLDEST


def shebang(interpreter: Path) -> str:
    """The first line of a script that it runs. Raises InstallError."""
    line = f"#!{interpreter} {OPTIONS}"
    if len(os.fsencode(line)) > _LONGEST_LINE or any(one.isspace() for one in str(interpreter)):
        raise InstallError(
            f"{interpreter}: a kernel takes no such path behind `#!`: choose a folder for plugins"
            f" with a path of less than {_LONGEST_LINE - 60} letters and no blanks"
        )
    return line


def bring_along(record: Record, folder: Path, called: Path) -> Path:
    """Have a folder with this interpreter in `folder`, which the host calls `called`.

    Returns the interpreter's path on the host. Raises InstallError, OSError.
    """
    python, *others = found = parts()
    name = PREFIX + _digest(found, called)
    own = python._replace(data=_at(python.data, called / name))
    if not (folder / name).is_dir():
        record.note_folder(name)
        _make(folder / name, [own, *others])
    elif not _is_whole(folder / name, [own, *others]):
        _write(folder / name, [own, *others])  # what somebody took away
    return called / name / PYTHON


def beside(program: bytes, python: Path) -> bytes:
    """A program in the folder for plugins that runs by the same loader and libraries as `python`.

    One that is linked to none stays as it is.
    """
    try:
        elf.loader(program)
    except InstallError:
        return program
    return _at(program, python.parents[1])


def remove(folder: Path) -> None:
    """Remove such a folder. Raises OSError."""
    shutil.rmtree(folder)
    files.sync(folder.parent)


def _at(program: bytes, folder: Path) -> bytes:
    """By whole paths: to find its own place, a loader needs /proc."""
    return elf.relocated(program, f"{folder}/{LOADER}", f"{folder}/lib")


def _make(folder: Path, parts: Sequence[Part]) -> None:
    with files.staging(folder) as new:
        _write(new, parts)
        _try(new)
        new.rename(folder)
    files.sync(folder.parent)


def _write(folder: Path, parts: Iterable[Part]) -> None:
    """Compiled here: who runs it later may not write there, and would compile at every start."""
    import py_compile

    for part in parts:
        files.write(folder / part.name, part.data, part.mode)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for path in (folder / LIBRARY).rglob("*.py"):
        name = path.name
        py_compile.compile(str(path), dfile=name, doraise=True, invalidation_mode=unchecked)


def _is_whole(folder: Path, parts: Iterable[Part]) -> bool:
    try:
        return all((folder / part.name).stat().st_size == len(part.data) for part in parts)
    except OSError:
        return False


def _try(folder: Path) -> None:
    """Start it from where it is now, by its own loader. Raises InstallError."""
    loader, python, library = (str(folder / name) for name in (LOADER, PYTHON, "lib"))
    command = [loader, "--library-path", library, python, OPTIONS, "-c", _VERSION]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, check=False, env={}
    )
    if done.returncode or done.stderr:
        raise InstallError(f"the interpreter that was made does not run: {done.stderr.strip()}")


def _digest(parts: Iterable[Part], called: Path) -> str:
    found = hashlib.sha256(_FORM + os.fsencode(called))
    for part in parts:
        found.update(f"\0{part.name}\0{part.mode}\0{len(part.data)}\0".encode() + part.data)
    return found.hexdigest()[:12]
