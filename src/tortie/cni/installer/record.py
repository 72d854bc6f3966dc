"""What was made in a folder, so that only that is removed.

Without an ending in its name: whatever ends in .conf, .conflist or .json in a configuration folder
is read by runtimes as a network's configuration.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from tortie.cni.installer import files
from tortie.cni.installer.errors import InstallError

NAME = ".tortie-installed"


class _Made(Struct, frozen=True):
    files: dict[str, str] = {}  # name to digest
    folders: tuple[str, ...] = ()


class Record:
    """The record of one folder. `note` before anything gets its name: a kill leaves none unnoted.

    Raises OSError, and InstallError where the record can't be understood.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._made = _read(self._path)

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of folders in this one that were made."""
        return self._made.folders

    @property
    def names(self) -> list[str]:
        """The names of files that were made."""
        return sorted(self._made.files)

    def put(self, name: str, data: bytes, mode: int) -> bool:
        """Have a file be as given, and be ours; returns whether it was another one before."""
        self._keep(_Made({**self._made.files, name: files.digest(data)}, self._made.folders))
        return files.write(self._folder / name, data, mode)

    def note_folder(self, name: str) -> None:
        """A folder of this name is ours."""
        if name not in self._made.folders:
            self._keep(_Made(self._made.files, (*self._made.folders, name)))

    def forget_folder(self, name: str) -> None:
        """A folder of this name is no more."""
        left = tuple(one for one in self._made.folders if one != name)
        self._keep(_Made(self._made.files, left))

    def is_ours(self, name: str) -> bool:
        """Whether a file is as it was made here."""
        wanted = self._made.files.get(name)
        try:
            found = (self._folder / name).read_bytes() if wanted else b""
        except OSError:
            return False
        return wanted == files.digest(found)

    def take_back(self, name: str) -> bool:
        """Remove a file that is as it was made, and forget it in any case; whether it was."""
        ours = self.is_ours(name)
        if ours:
            files.remove(self._folder / name)
        left = {one: digest for one, digest in self._made.files.items() if one != name}
        self._keep(_Made(left, self._made.folders))
        return ours

    def _keep(self, made: _Made) -> None:
        if made == self._made:
            return
        if made.files or made.folders:
            files.write(self._path, msgspec.json.format(msgspec.json.encode(made)), 0o600)
        else:
            files.remove(self._path)
        self._made = made


def _read(path: Path) -> _Made:
    try:
        made = msgspec.json.decode(path.read_bytes(), type=_Made)
    except FileNotFoundError:
        return _Made()
    except msgspec.DecodeError as problem:
        raise InstallError(f"{path} is not a record of what was installed: {problem}") from None
    for name in (*made.files, *made.folders):
        if "/" in name or name in ("", ".", ".."):
            raise InstallError(f"{path} names {name!r}, which is no file of its folder: remove it")
    return made
