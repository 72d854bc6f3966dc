"""Whether plain data has the shape of a kind: every fault at once, in words for people.

The types say what the shape is (`tortie.api.fields`); msgspec holds to the same when it decodes
bytes, but stops at the first fault and passes over unknown fields.
"""

import re
from collections.abc import Iterator
from functools import cache
from math import isfinite
from typing import Any

from msgspec import inspect

from tortie.api.problems import Violation, nearest, shown, under

_SORTS: dict[type[inspect.Type], tuple[tuple[type, ...], str]] = {
    inspect.BoolType: ((bool,), "true or false"),
    inspect.IntType: ((int,), "a whole number"),
    inspect.FloatType: ((int, float), "a number"),
    inspect.StrType: ((str,), "text"),
    inspect.VarTupleType: ((list,), "a list"),
    inspect.StructType: ((dict,), "an object"),
    inspect.DictType: ((dict,), "an object"),
}
_LISTED_WORDS = re.compile(r"\(\?ai\)\^\(([A-Za-z|]+)\)\??\\Z")
_FOUND: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def faults(type_: type, value: Any) -> Iterator[Violation]:
    """What in `value` (dicts, lists, scalars) does not fit `type_`; none: it can be converted."""
    yield from shape_faults(shape_of(type_), value, "")


@cache
def shape_of(type_: type) -> inspect.Type:
    """The shape that data of the type has."""
    return inspect.type_info(type_)


def shape_faults(shape: inspect.Type, value: Any, path: str = "") -> Iterator[Violation]:
    """As `faults`, for a part of a kind at `path`."""
    match shape:
        case inspect.Metadata():
            yield from shape_faults(shape.type, value, path)
        case inspect.AnyType():
            yield from _numbers(value, path)
        case inspect.UnionType():
            yield from _one_of(shape, value, path)
        case inspect.StructType() if isinstance(value, dict):
            yield from _object(shape, value, path)
        case inspect.DictType() if isinstance(value, dict):
            for key, item in value.items():
                yield from shape_faults(shape.value_type, item, under(path, key))
        case inspect.VarTupleType() if isinstance(value, list):
            yield from _list(shape, value, path)
        case _:
            yield from _scalar(shape, value, path)


def _object(shape: inspect.StructType, value: dict[str, Any], path: str) -> Iterator[Violation]:
    fields = {field.encode_name: field for field in shape.fields}
    for name, item in value.items():
        if name not in fields:
            hint = nearest(name, fields) or f"known are {', '.join(sorted(fields))}"
            yield Violation(under(path, name), "unknown field", item, hint)
        elif item is not None:  # null is the same as absent
            yield from shape_faults(fields[name].type, item, under(path, name))
    for name, field in fields.items():
        if field.required and value.get(name) is None:
            yield Violation(under(path, name), "is required")


def _list(shape: inspect.VarTupleType, value: list[Any], path: str) -> Iterator[Violation]:
    least, most = shape.min_length or 0, shape.max_length
    if len(value) < least:
        yield Violation(path, f"needs at least {least} item{'s'[: least > 1]}", value)
    if most is not None and len(value) > most:
        yield Violation(path, f"has {len(value)} items, at most {most} are allowed")
    for index, item in enumerate(value):
        yield from shape_faults(shape.item_type, item, f"{path}[{index}]")


def _one_of(shape: inspect.UnionType, value: Any, path: str) -> Iterator[Violation]:
    branches = [branch for branch in shape.types if not isinstance(branch, inspect.NoneType)]
    if value is None and len(branches) < len(shape.types):
        return
    choices = [branch for branch in branches if isinstance(branch, inspect.LiteralType)]
    if len(choices) > 1:
        joined = inspect.LiteralType(tuple(value for each in choices for value in each.values))
        branches = [joined, *(branch for branch in branches if branch not in choices)]
    fitting = [branch for branch in branches if _fits(branch, value)]
    if fitting or len(branches) == 1:
        yield from shape_faults((fitting or branches)[0], value, path)
    else:
        yield _wrong_type(" or ".join(map(_expected, branches)), value, path)


def _scalar(shape: inspect.Type, value: Any, path: str) -> Iterator[Violation]:
    if not _fits(shape, value):
        yield _wrong_type(_expected(shape), value, path, _quoting(shape, value))
        return
    match shape:
        case inspect.LiteralType() if value not in shape.values:
            choices = [str(choice) for choice in shape.values if choice != ""]
            message = f"{shown(value)} is not one of {', '.join(choices)}"
            yield Violation(path, message, value, nearest(str(value), choices))
        case inspect.IntType() | inspect.FloatType():
            yield from _bounds(shape, value, path)
        case inspect.StrType():
            yield from _text(shape, value, path)


def _bounds(
    shape: inspect.IntType | inspect.FloatType, value: float, path: str
) -> Iterator[Violation]:
    if not isfinite(value):
        yield Violation(path, f"{value} is not a finite number", value)
    elif shape.ge is not None and value < shape.ge:
        yield Violation(path, f"{value} is below {shape.ge}", value)
    elif shape.le is not None and value > shape.le:
        yield Violation(path, f"{value} is above {shape.le}", value)


def _text(shape: inspect.StrType, value: str, path: str) -> Iterator[Violation]:
    if shape.max_length is not None and len(value) > shape.max_length:
        message = f"has {len(value)} characters, at most {shape.max_length} are allowed"
        yield Violation(path, message, value)
    if shape.min_length is not None and len(value) < shape.min_length:
        yield Violation(path, "must not be empty", value)
    if shape.pattern is not None and not re.search(shape.pattern, value):
        yield _unmatched(shape.pattern, value, path)


def _unmatched(pattern: str, value: str, path: str) -> Violation:
    """A pattern that only lists words in any case is said as such a list."""
    if listed := _LISTED_WORDS.fullmatch(pattern):
        words = listed[1].split("|")
        message = f"{shown(value)} is not one of {', '.join(words)}"
        return Violation(path, message, value, nearest(value, words))
    readable = pattern.removeprefix("(?a)").replace(r"\Z", "$")
    hint = 'a duration such as "1m30s"' if "ms|s|m|h" in pattern else ""
    return Violation(path, f"{shown(value)} does not match {readable}", value, hint)


def _numbers(value: Any, path: str) -> Iterator[Violation]:
    """Data that is kept as it came may still hold numbers that JSON has not."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, under(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{path}[{index}]")
    elif isinstance(value, float) and not isfinite(value):
        yield Violation(path, f"{value} is not a finite number", value)


def _fits(shape: inspect.Type, value: Any) -> bool:
    """Whether the value is of the right sort, its bounds aside."""
    if isinstance(shape, inspect.Metadata):
        return _fits(shape.type, value)
    if isinstance(shape, inspect.LiteralType):
        sorts: tuple[type, ...] = (type(shape.values[0]),)
    else:
        sorts = _SORTS[type(shape)][0]
    return isinstance(value, sorts) and (not isinstance(value, bool) or bool in sorts)


def _expected(shape: inspect.Type) -> str:
    if isinstance(shape, inspect.Metadata):
        return _expected(shape.type)
    if isinstance(shape, inspect.LiteralType):
        return f"one of {', '.join(str(choice) for choice in shape.values if choice != '')}"
    return _SORTS[type(shape)][1]


def _wrong_type(expected: str, value: Any, path: str, hint: str = "") -> Violation:
    sort = next((name for type_, name in _FOUND.items() if isinstance(value, type_)), "nothing")
    detail = f" ({shown(value)})" if value not in (None, [], {}) else ""
    return Violation(path, f"expected {expected}, found {sort}{detail}", value, hint)


def _quoting(shape: inspect.Type, value: Any) -> str:
    """YAML's usual trap: quotes that are missing, or too many."""
    if isinstance(shape, inspect.StrType) and isinstance(value, bool | int | float):
        return f'quote it, as in "{str(value).lower()}"'
    unquoted = isinstance(value, str) and value.lower() in ("true", "false")
    if isinstance(shape, inspect.BoolType) and unquoted:
        return "leave out the quotes"
    if isinstance(shape, inspect.IntType) and isinstance(value, str) and value.isdigit():
        return "leave out the quotes"
    if isinstance(shape, inspect.VarTupleType) and not isinstance(value, list | dict):
        return "put it in a list: [" + shown(value) + "]"
    return ""
