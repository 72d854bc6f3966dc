"""Variables of the environment as values that are checked. Errors name the variable."""

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tortie.cni.installer.errors import InstallError

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_TRUE, _FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")
_SHOWN = 60  # characters


class Variables:
    """An environment; an empty variable counts as not set. All raise InstallError."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def matching(self, name: str, default: str, pattern: re.Pattern[str], what: str) -> str:
        """Text that is as a whole what the pattern says; `what` says so in words."""
        value = self.environ.get(name, "")
        if value and not pattern.fullmatch(value):
            raise wrong(name, value, what)
        return value or default

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number."""
        value = self.environ.get(name, "")
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise wrong(name, value, f"a whole number from {least} to {most}")
        return int(value)

    def truth(self, name: str, *, default: bool) -> bool:
        """Yes or no, in any of the usual words."""
        value = self.environ.get(name, "").lower()
        if value in (*_TRUE, *_FALSE):
            return value in _TRUE
        if value:
            raise wrong(name, value, "true or false")
        return default

    def names(self, name: str) -> frozenset[str]:
        """Names of files, with commas between."""
        found = [one.strip() for one in self.environ.get(name, "").split(",") if one.strip()]
        for one in found:
            if not _PLAIN.fullmatch(one):
                raise wrong(name, one, "programs' names, with commas between")
        return frozenset(found)

    def path(self, name: str) -> Path | None:
        """An absolute path."""
        value = self.environ.get(name, "")
        return absolute(name, value) if value else None

    def mode(self, name: str, default: int) -> int:
        """A file's mode, in octal."""
        value = self.environ.get(name, "")
        if not value:
            return default
        if not re.fullmatch("0?[0-7]{3}", value) or int(value, 8) & 0o022:
            raise wrong(name, value, "a mode such as 600, in which nobody else may write")
        return int(value, 8)


def absolute(name: str, value: str) -> Path:
    """The path that a setting names. Raises InstallError."""
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or any(ord(one) < 33 for one in value):
        raise wrong(name, value, "an absolute path without '..' and blanks")
    return Path(os.path.normpath(value))


def wrong(name: str, value: str, wanted: str) -> InstallError:
    """The error that says what a setting should be."""
    return InstallError(f"{name} is {value[:_SHOWN]!r}: use {wanted}")
