"""What is wrong in an object, and the paths that say where."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from msgspec import json

_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN = 60  # characters of a value that a message shows


class Violation(NamedTuple):
    """One thing wrong: `path` from the object's root, as in "spec.ingress[0].source.nets[1]".

    `value` is what was found, None where a field is missing. `suggestion` is what to do about it
    ("" where there is nothing to say but the message).
    """

    path: str
    message: str
    value: Any = None
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"{self.path}: {self.message}{hint}" if self.path else f"{self.message}{hint}"


def under(path: str, key: str) -> str:
    """The path of a field or a map's key below `path`; a key with dots in it stands in quotes."""
    if not _PLAIN.fullmatch(key):
        return f"{path}[{json.encode(key).decode()}]"
    return f"{path}.{key}" if path else key


def steps(path: str) -> Iterator[str | int]:
    """The parts of a path: names of fields, keys of maps, and indices."""
    for match in _STEP.finditer(path):
        name, index, quoted = match.groups()
        if index is not None:
            yield int(index)
        else:
            yield json.decode(quoted) if quoted else name


def outward(path: str) -> Iterator[str]:
    """The path itself, and the paths of all that it is a part of."""
    yield path
    for index, character in enumerate(path):
        if character in ".[":
            yield path[:index]


def shown(value: Any) -> str:
    """A value as a message shows it: as JSON, shortened."""
    try:
        text = json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def nearest(found: str, names: Iterable[str]) -> str:
    """`did you mean "x"?` for the likeliest of the names, "" where none is alike."""
    name = likeliest(found, names)
    return f'did you mean "{name}"?' if name else ""


def likeliest(found: str, names: Iterable[str]) -> str:
    """The likeliest of the names, in any case; "" where none is alike."""
    folded = {name.casefold(): name for name in names}
    alike = get_close_matches(found.casefold()[:100], folded, n=1, cutoff=0.6)
    return folded[alike[0]] if alike else ""
