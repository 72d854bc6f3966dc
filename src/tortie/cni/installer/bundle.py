"""This very interpreter as files that run on any host: program, loader, libraries, modules.

Only what the plugin loads is among them. Where each library lies our own process knows: it runs by
the same ones.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tortie.cni.installer import elf
from tortie.cni.installer.errors import InstallError

OPTIONS = "-IBSXutf8"  # in one word, for `#!`: nothing from outside is loaded, nothing written
PYTHON, LOADER = "bin/python3", "lib/loader"
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
_DYNAMIC = f"{LIBRARY}/lib-dynload"  # by which an interpreter finds its library; and by `os`
_SECONDS = 60.0
_LOADED = """
import sys, posix, _socket
for name, module in list(sys.modules.items()):
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.has_location:
        print(name, spec.origin, sep="\\t")
"""


class Part(NamedTuple):
    """One file of the folder, its name relative to it."""

    name: str
    data: bytes
    mode: int = 0o644


@cache
def parts() -> tuple[Part, ...]:
    """All of it, the interpreter first and as it is here. Raises InstallError, OSError."""
    program = Path(sys.executable).resolve()
    data = program.read_bytes()
    loader = Part(LOADER, Path(elf.loader(data)).read_bytes(), 0o755)
    modules = tuple(_modules(program))
    extensions = [part.data for part in modules if part.name.startswith(_DYNAMIC)]
    libraries = _libraries([data, *extensions])
    keep = Part(f"{_DYNAMIC}/.keep", b"")
    return (Part(PYTHON, data, 0o755), loader, *libraries, *modules, keep)


def _modules(program: Path) -> Iterator[Part]:
    """The modules that it loads for the plugin, but for those inside of it."""
    import encodings

    library = Path(os.__file__).parent
    lines = output(program, _LOADED).splitlines()
    loaded = {name: Path(file) for name, _, file in (line.partition("\t") for line in lines)}
    loaded |= {"os": Path(os.__file__), "encodings": Path(encodings.__file__)}
    for name, path in sorted(loaded.items()):
        if path.suffix == ".py" and path.is_relative_to(library):
            yield Part(f"{LIBRARY}/{path.relative_to(library)}", path.read_bytes())
        elif path.suffix == ".so":
            ending = path.name[path.name.index(".") :]
            yield Part(f"{_DYNAMIC}/{name}{ending}", path.read_bytes())


def _libraries(programs: Sequence[bytes]) -> Iterator[Part]:
    """The libraries that these need, and those that they need."""
    import _socket  # noqa: F401 - its libraries are to be in our memory, too

    places = _mapped()
    wanted = {name for data in programs for name in elf.needed(data)}
    seen = {Path(elf.loader(programs[0])).name}
    while wanted - seen:
        name = min(wanted - seen)
        seen.add(name)
        if name not in places:
            raise InstallError(f"{name}, which the interpreter needs, is not in its memory")
        data = elf.without_folders(places[name].read_bytes())
        wanted |= set(elf.needed(data))
        yield Part(f"lib/{name}", data)


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


def output(program: Path, code: str) -> str:
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
