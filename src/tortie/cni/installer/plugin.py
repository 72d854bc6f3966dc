"""The programs in the folder for plugins: ours by both names, and standard ones of an image."""

import marshal
import os
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import NamedTuple

from tortie.cni.installer import files, interpreter
from tortie.cni.installer.record import Record
from tortie.cni.installer.settings import InstallSettings

NAME = "calico"
IPAM = "calico-ipam"  # what plugins of others start for addresses
_OWN = (NAME, IPAM)
STANDARD = ("bandwidth", "host-local", "loopback", "portmap", "tuning")
_MODE = 0o755
_SHIM = Path(__file__).parents[1] / "shim.py"


class Done(NamedTuple):
    """What became of a file; `what` is "written", "unchanged", "removed" or a reason why not."""

    path: str
    what: str


_PROGRAM = """\
{shebang}
# The plugin of container runtimes: compiled for the interpreter that it was installed with, which
# saves a seventh of its time; for any other, say after an upgrade of the host, as text.
import marshal, sys
if sys.modules["_frozen_importlib_external"].MAGIC_NUMBER == {magic!r}:
    code = marshal.loads({code!r})
else:
    code = {text!r}
exec(code)
"""


def program(interpreter_path: Path) -> bytes:
    """The plugin's text, run by this interpreter. Raises InstallError."""
    text = _SHIM.read_text()
    compiled = compile(text, NAME, "exec", optimize=2, dont_inherit=True)
    return _PROGRAM.format(
        shebang=interpreter.shebang(interpreter_path),
        magic=MAGIC_NUMBER,
        code=marshal.dumps(compiled),
        text=text,
    ).encode()


def install(settings: InstallSettings, record: Record) -> Iterator[Done]:
    """Have the programs be there. Raises InstallError, OSError."""
    folder = settings.bin_dir
    before = _interpreter_folder(folder / NAME)
    python = _interpreter(settings, record)
    if settings.own_interpreter:
        yield Done(str(folder / python.parents[1].name), "in use")
    for name, data in _programs(settings, python):
        why_not = _left_alone(settings, name)
        path = str(folder / name)
        yield Done(path, why_not) if why_not else _put(record, folder, name, data)
    # A runtime may be starting the plugin before: its interpreter stays until the next change.
    for name in _unused(record, folder, {before, python.parents[1].name}):
        interpreter.remove(folder / name)
        record.forget_folder(name)
        yield Done(str(folder / name), "removed")


def _interpreter(settings: InstallSettings, record: Record) -> Path:
    if settings.own_interpreter:
        return interpreter.bring_along(record, settings.bin_dir, settings.host_bin_dir)
    return interpreter.hosts_own()


def _programs(settings: InstallSettings, python: Path) -> Iterator[tuple[str, bytes]]:
    own = program(python)
    yield from ((name, own) for name in _OWN)
    for source in _standard(settings):
        data = source.read_bytes()
        yield source.name, interpreter.beside(data, python) if settings.own_interpreter else data


def _unused(record: Record, folder: Path, in_use: set[str]) -> list[str]:
    old = [name for name in record.folders if name not in in_use]
    there = (folder / name for name in (record.names if old else ()))
    programs = [path.read_bytes() for path in there if path.exists()]
    return [name for name in old if not any(name.encode() in data for data in programs)]


def _interpreter_folder(path: Path) -> str:
    """The folder of the interpreter that a program's first line names; "" where none does."""
    try:
        with path.open("rb") as file:
            line = file.readline(256).decode("utf-8", "replace")
    except OSError:
        return ""
    return next((part for part in line.split("/") if part.startswith(interpreter.PREFIX)), "")


def _put(record: Record, folder: Path, name: str, data: bytes) -> Done:
    """A program. A standard one that was there before us is not ours to remove."""
    path = folder / name
    if name not in _OWN and path.exists() and not record.is_ours(name):
        changed = files.write(path, data, _MODE)
    else:
        changed = record.put(name, data, _MODE)
    return Done(str(path), "written" if changed else "unchanged")


def _left_alone(settings: InstallSettings, name: str) -> str:
    if name in settings.skip:
        return "left alone: SKIP_CNI_BINARIES names it"
    if not settings.update and (settings.bin_dir / name).exists():
        return "left alone: UPDATE_CNI_BINARIES is false"
    return ""


def nothing_to_copy(settings: InstallSettings) -> str:
    """Why no standard plugin is copied though a folder of them is given; "" where all is well."""
    source = settings.plugins
    if source is None or source.resolve() == settings.bin_dir.resolve() or _standard(settings):
        return ""
    return f"{source} has no program {', '.join(STANDARD)}: no standard plugin was copied"


def _standard(settings: InstallSettings) -> list[Path]:
    """Those that can be copied."""
    source = settings.plugins
    if source is None or source.resolve() == settings.bin_dir.resolve():
        return []
    return [source / name for name in STANDARD if os.access(source / name, os.X_OK)]
