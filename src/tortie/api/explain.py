"""What a kind or one of its fields is, for people: `IPPool.spec.blockSize`.

All of it is read from the kind's schema, so that what is explained is what is enforced.
"""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from tortie.api.fields import UNUSED
from tortie.api.problems import nearest
from tortie.api.registry import Kind, UnknownKind, kind_named
from tortie.api.schemas import Schema, schema_of

_INDEX = re.compile(r"\[[^\]]*\]")
_COUNTS = {
    "minLength": ("at least", "character"),
    "maxLength": ("at most", "character"),
    "minItems": ("at least", "item"),
    "maxItems": ("at most", "item"),
    "minProperties": ("at least", "field"),
    "maxProperties": ("at most", "field"),
}
_FORMATS = {"cidr": "a CIDR", "date-time": "a time as in RFC 3339"}


class FieldHelp(Struct, frozen=True, kw_only=True):
    """One field, or a whole kind.

    `name` is the field's own, "" for a kind. `type` is as in "[]string"; `default` is None where
    there is none in the schema (the description may name what the reader assumes). `bounds`,
    `choices` and `rules` (of an object's fields against each other) are texts for people; those of
    a list are its items', too. `children` are the fields inside.
    """

    name: str
    type: str
    description: str
    required: bool = False
    default: Any = None
    bounds: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    children: tuple["FieldHelp", ...] = ()

    @property
    def is_used(self) -> bool:
        """Whether it is more than kept as it came."""
        return self.description != UNUSED


class Explained(Struct, frozen=True):
    """The field at `path` (the API's names, "" for the kind itself) of a kind."""

    kind: Kind
    path: str
    help: FieldHelp


class UnknownField(ValueError):
    """A kind has no such field; the message names what it has."""


def explain(path: str) -> Explained:
    """The help for "KIND" or "KIND.field.field"; the kind may be any of its names.

    Lists are passed through: "gnp.spec.ingress.action" is the same as "gnp.spec.ingress[].action".
    Raises UnknownKind, or UnknownField with the nearest name.
    """
    kind, fields = _kind(path.strip())
    name, schema, required, passed = "", schema_of(kind), False, ""
    for field in filter(None, _INDEX.sub("", fields).split(".")):
        inner = _inner(schema)
        name = _named(field, inner, f"{kind.name}{passed and f'.{passed}'}")
        required = name in inner.get("required", ())
        schema = inner["properties"][name]
        passed = f"{passed}.{name}" if passed else name
    return Explained(kind, passed, _help(name, schema, required))


def _kind(path: str) -> tuple[Kind, str]:
    """The kind at the beginning of a path, and the rest; a kind's name may have dots itself."""
    words = path.split(".")
    for count in range(len(words), 1, -1):
        try:
            return kind_named(".".join(words[:count])), ".".join(words[count:])
        except UnknownKind:
            continue
    return kind_named(words[0]), ".".join(words[1:])


def _inner(schema: Schema) -> Schema:
    """What is in a list, or a map's values."""
    if "items" in schema:
        return _inner(schema["items"])
    return _inner(schema["additionalProperties"]) if "additionalProperties" in schema else schema


def _named(field: str, schema: Schema, owner: str) -> str:
    names: dict[str, str] = {name.casefold(): name for name in schema.get("properties", ())}
    if not names:
        raise UnknownField(f"{owner} has no fields, so no {field!r}")
    if field.casefold() not in names:
        known = f"known are {', '.join(sorted(names.values()))}"
        raise UnknownField(
            f"{owner} has no field {field!r}; {nearest(field, names.values()) or known}"
        )
    return names[field.casefold()]


def _help(name: str, schema: Schema, required: bool) -> FieldHelp:
    inner = _inner(schema)
    parts = [schema] if inner is schema else [schema, inner]
    owned = inner.get("required", ())
    return FieldHelp(
        name=name,
        type=type_of(schema),
        description=schema.get("description", ""),
        required=required,
        default=schema.get("default"),
        bounds=tuple(bound for part in parts for bound in _bounds(part)),
        choices=tuple(map(str, inner.get("enum", ()))),
        rules=tuple(
            rule["message"] for part in parts for rule in part.get("x-kubernetes-validations", ())
        ),
        children=tuple(
            _help(child, field, child in owned)
            for child, field in inner.get("properties", {}).items()
        ),
    )


def type_of(schema: Schema) -> str:
    """The type in Go's manner, which people know from kubectl: "[]string", "map[string]integer"."""
    if "items" in schema:
        return f"[]{type_of(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map[string]{type_of(schema['additionalProperties'])}"
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    return str(schema.get("type", "anything"))


def _bounds(schema: Schema) -> Iterator[str]:
    if schema.get("format") in _FORMATS:
        yield _FORMATS[schema["format"]]
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None or most is not None:
        yield _range(least, most)
    for key, (word, noun) in _COUNTS.items():
        if key in schema:
            yield f"{word} {schema[key]} {noun}{'s' if schema[key] != 1 else ''}"
    if "pattern" in schema and not schema.get("x-kubernetes-int-or-string"):
        yield f"matches {schema['pattern']}"
    if schema.get("x-kubernetes-list-type") == "set":
        yield "none twice"


def _range(least: float | None, most: float | None) -> str:
    if most is None:
        return f"{least} or more"
    return f"at most {most}" if least is None else f"{least} to {most}"
