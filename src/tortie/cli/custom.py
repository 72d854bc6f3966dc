"""`-o custom-columns=…`, as kubectl and as calicoctl write it."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from tortie.api import Kind, Resource, to_manifest
from tortie.cli.cells import text_of
from tortie.cli.columns import columns_named
from tortie.cli.errors import UserError
from tortie.cli.jsonpath import JsonPathError, parse_path, shown

NONE = "<none>"


class Custom(NamedTuple):
    """A column: its title, and the cell of a resource."""

    header: str
    cell: Callable[[Resource], str]


@lru_cache
def columns_of(text: str, kind: Kind) -> tuple[Custom, ...]:
    """The columns for resources of a kind. Raises UserError.

    "NAME:.metadata.name,…" gives paths; "NAME,CIDR" takes columns of `-o wide`. A text of two lines
    (from a file) has titles in the first and paths in the second.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 2 and len(lines[0]) == len(lines[1]):
        return tuple(map(_by_path, *lines))
    words = [word.strip() for word in text.replace("\n", ",").split(",") if word.strip()]
    if not words:
        raise UserError("custom-columns: which? As in NAME:.metadata.name or NAME,CIDR")
    return tuple(_column(word, kind) for word in words)


def _column(word: str, kind: Kind) -> Custom:
    title, colon, path = word.partition(":")
    return _by_path(title, path) if colon else _by_name(word, kind)


def _by_path(title: str, path: str) -> Custom:
    try:
        found = parse_path(path)
    except JsonPathError as error:
        raise UserError(f"custom-columns: {error}") from None
    return Custom(
        title,
        lambda resource: ",".join(map(shown, found.find(to_manifest(resource)))) or NONE,
    )


def _by_name(word: str, kind: Kind) -> Custom:
    known = columns_named(kind)
    column = known.get(_folded(word)) or next(
        (column for name, column in known.items() if _folded(name) == _folded(word)), None
    )
    if column is None:
        names = ", ".join(found.header for found in known.values())
        raise UserError(
            f"custom-columns: {kind.plural} have no column {word!r}; there are {names};"
            f" or give a path: {word}:.metadata.name"
        )
    return Custom(word.upper(), lambda resource: text_of(resource, column))


def _folded(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
