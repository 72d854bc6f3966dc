"""From a resource to the cells of a table."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tortie.api import Resource

NOTHING = "-"


class Column(NamedTuple):
    """A column: a path into the resource, or a function of it.

    `wide` ones are shown with `-o wide` only; `also` are names that `-o custom-columns` takes too.
    """

    header: str
    cell: str | Callable[[Any], object]
    wide: bool = False
    also: tuple[str, ...] = ()


def text_of(resource: Resource, column: Column) -> str:
    """The cell of a resource in a column."""
    return _text(_value(resource, column.cell))


def _value(resource: Resource, cell: str | Callable[[Any], object]) -> object:
    if callable(cell):
        return cell(resource)
    value: object = resource
    for step in cell.split("."):
        value = getattr(value, step, None)
    return value


def _text(value: object) -> str:
    if isinstance(value, str) or value is None:
        return value or NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items())) or NOTHING
    if isinstance(value, Iterable):
        return ",".join(map(_text, value)) or NOTHING
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def age(resource: Resource) -> str:
    """How long ago it was created: "5s", "3m", "7h", "12d"."""
    return since(resource.metadata.creation_timestamp)


def since(moment: str | None) -> str:
    """How long ago a time of RFC 3339 was; "" where there is none."""
    try:
        begin = datetime.fromisoformat(moment or "")
    except ValueError:
        return ""
    now = datetime.now(UTC if begin.tzinfo else None)
    seconds = int((now - begin).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"


def condition(type_: str, field: str) -> Callable[[Any], object]:
    """A field of the status condition of a type."""

    def found(resource: Any) -> object:
        conditions = getattr(getattr(resource, "status", None), "conditions", ())
        return next((getattr(item, field) for item in conditions if item.type == type_), None)

    return found
