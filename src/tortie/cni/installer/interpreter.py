"""The interpreter that runs the plugin on the host.

On a host with Python it is the host's. Where the installer runs in a container, the host may have
no Python, no shell and another C library: then a folder of its own is brought along, with this very
interpreter, its loader and libraries, and the few modules that the plugin loads. The folder is
named by its content and never changed, so that a plugin that is just starting finds all of it.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tortie.cni.installer import elf, files
from tortie.cni.installer.errors import InstallError
from tortie.cni.installer.record import Record

HOSTS_OWN = Path("/usr/bin/python3")
OPTIONS = "-IBSXutf8"  # in one word, for `#!`: nothing from outside is loaded, nothing written
PREFIX = ".tortie-python-"
_LONGEST_LINE = 127  # bytes of a `#!` line that any kernel takes
_SECONDS = 60.0
_OLDEST = (3, 6)
_LANDMARK = "os"  # the module by which an interpreter finds its library
_LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
_DYNAMIC = f"{_LIBRARY}/lib-dynload"  # the other landmark
_LOADED = """
import sys, posix, _socket
for name, module in list(sys.modules.items()):
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.has_location:
        print(name, spec.origin, sep="\\t")
"""
_VERSION = "import sys, _socket; print(sys.version_info[0], sys.version_info[1])"


class Part(NamedTuple):
    """One file of the folder, its name relative to it."""

    name: str
    data: bytes
    mode: int = 0o644


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
    words = _output(path, _VERSION).split()
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
    python, *others = parts = _parts()
    name = PREFIX + _digest(parts, called)
    if not (folder / name).is_dir():
        record.note_folder(name)
        own = python._replace(data=_at(python.data, called / name))
        _write(folder / name, [own, *others])
    return called / name / "bin/python3"


def beside(program: bytes, python: Path) -> bytes:
    """A program in the folder for plugins that runs by the same loader and libraries as `python`.

    One that is linked to none stays as it is.
    """
    try:
        elf.loader(program)
    except InstallError:
        return program
    return _at(program, python.parents[1])


def _at(program: bytes, folder: Path) -> bytes:
    """By whole paths: to find its own place, a loader needs /proc."""
    return elf.relocated(program, f"{folder}/lib/loader", f"{folder}/lib")


def _write(folder: Path, parts: list[Part]) -> None:
    with files.staging(folder) as new:
        _clear(new)
        for part in (*parts, Part(f"{_DYNAMIC}/.keep", b"")):
            files.write(new / part.name, part.data, part.mode)
        _compile(new)
        _try(new)
        new.rename(folder)
    files.sync(folder.parent)


def _compile(folder: Path) -> None:
    """Once, here: who runs it later may not write there, and would compile at every start."""
    import py_compile

    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for path in (folder / _LIBRARY).rglob("*.py"):
        shown = path.name
        py_compile.compile(str(path), dfile=shown, doraise=True, invalidation_mode=unchecked)


def _clear(folder: Path) -> None:
    """Remove a folder and what is in it; one that is not there is fine."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            _clear(path)
        else:
            path.unlink()
    folder.rmdir()


def remove(folder: Path) -> None:
    """Remove such a folder. Raises OSError."""
    _clear(folder)
    files.sync(folder.parent)


def _try(folder: Path) -> None:
    """Start it from where it is now, by its own loader. Raises InstallError."""
    library, python = str(folder / "lib"), str(folder / "bin/python3")
    loaded = [str(folder / "lib/loader"), "--library-path", library, python]
    command = [*loaded, OPTIONS, "-c", _VERSION]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, check=False, env={}
    )
    if done.returncode or done.stderr:
        raise InstallError(f"the interpreter that was made does not run: {done.stderr.strip()}")


@cache
def _parts() -> tuple[Part, ...]:
    """All of it, the interpreter first and as it is here."""
    program = Path(sys.executable).resolve()
    modules = _modules(program)
    extensions = [data for name, data in modules if name.startswith(_DYNAMIC)]
    data = program.read_bytes()
    parts = [Part("bin/python3", data, 0o755), Part("lib/loader", _loader(data), 0o755)]
    parts += [Part(f"lib/{name}", found) for name, found in _libraries([data, *extensions])]
    return (*parts, *(Part(name, found) for name, found in modules))


def _loader(program: bytes) -> bytes:
    return Path(elf.loader(program)).read_bytes()


def _modules(program: Path) -> list[tuple[str, bytes]]:
    """The modules' files that it loads for the plugin, each with its name in the folder."""
    import encodings
    import os as landmark

    library = Path(landmark.__file__).parent
    lines = _output(program, _LOADED).splitlines()
    loaded = {name: file for name, _, file in (line.partition("\t") for line in lines)}
    loaded |= {_LANDMARK: landmark.__file__, "encodings": encodings.__file__}
    found = []
    for name, file in sorted(loaded.items()):
        path = Path(file)
        if path.suffix == ".py" and path.is_relative_to(library):
            found.append((f"{_LIBRARY}/{path.relative_to(library)}", path.read_bytes()))
        elif path.suffix == ".so":
            found.append(
                (f"{_DYNAMIC}/{name}{path.name[path.name.index('.') :]}", path.read_bytes())
            )
    return found


def _libraries(programs: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """The libraries that these need, and those that they need. Where each lies, our own process
    knows: it runs by the same ones.
    """
    import _socket  # its libraries are to be among them

    places = _mapped()
    loader = Path(elf.loader(programs[0])).name
    wanted = {name for data in programs for name in elf.needed(data)}
    seen = {loader}
    while wanted - seen:
        name = min(wanted - seen)
        seen.add(name)
        if name not in places:
            raise InstallError(
                f"the interpreter's library {name} is not found: is {_socket} loaded?"
            )
        data = elf.without_folders(places[name].read_bytes())
        wanted |= set(elf.needed(data))
        yield name, data


def _mapped() -> dict[str, Path]:
    """The files in our memory, by their names as libraries are asked for."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {Path(line.split(maxsplit=5)[5]) for line in lines if line.count("/") and ".so" in line}
    found = {}
    for path in paths:
        found[path.name] = path
        for link in path.parent.glob(f"{path.name.partition('.so')[0]}.so*"):
            if link.resolve() == path:
                found[link.name] = path
    return found


def _digest(parts: Iterable[Part], called: Path) -> str:
    found = hashlib.sha256(os.fsencode(called))
    for part in parts:
        found.update(f"\0{part.name}\0{part.mode}\0{len(part.data)}\0".encode() + part.data)
    return found.hexdigest()[:12]


def _output(program: Path, code: str) -> str:
    """What a program of a few words prints; nothing where it fails."""
    try:
        done = subprocess.run(
            [program, OPTIONS, "-c", code],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env={},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
