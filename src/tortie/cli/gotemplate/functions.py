"""What templates can call, and how values look as text: as Go prints them."""

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any
from urllib.parse import quote_plus

from tortie.cli.gotemplate.errors import Fault

NO_VALUE = "<no value>"
_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d+))?(.)", re.DOTALL)
_EMBEDDED = {"objectmeta": "metadata", "listmeta": "metadata"}


def is_true(value: Any) -> bool:
    """Go's truth: nothing, zero and what is empty is false."""
    return bool(value)


def shown(value: Any) -> str:
    """A value as `{{.}}` prints it."""
    return NO_VALUE if value is None else _verb_v(value)


def _verb_v(value: Any) -> str:
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return _float(value)
        case Mapping():
            parts = (f"{key}:{_verb_v(value[key])}" for key in sorted(value))
            return f"map[{' '.join(parts)}]"
        case list() | tuple():
            return f"[{' '.join(map(_verb_v, value))}]"
        case _:
            return str(value)


def _float(value: float) -> str:
    """As Go's %v: the shortest digits, an exponent of at least two digits from 1e21 on."""
    text = repr(value)
    if abs(value) < 1e21 and value == int(value):
        return str(int(value))
    return re.sub(r"e([-+]?)(\d)$", r"e\g<1>0\2", text)


def field(value: Any, name: str) -> Any:
    """The field of a map, by the API's name or by Go's; None where it is not there.

    Raises Fault where the value has no fields.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Fault(f"can't look up .{name} in {_sort(value)}")
    if name in value:
        return value[name]
    if not name[0].isupper():
        return None
    folded = _EMBEDDED.get(name.lower(), name.lower())
    return next((item for key, item in value.items() if key.lower() == folded), None)


def _sort(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list; `range` or `index` go into it"
        case _:
            return "an object"


def _index(value: Any, *keys: Any) -> Any:
    return reduce(_indexed, keys, value)


def _indexed(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    if not isinstance(value, list | tuple | str) or isinstance(key, bool | str | float):
        raise Fault(f"index: can't look up {key!r} in {_sort(value)}")
    if not 0 <= key < len(value):
        raise Fault(f"index: {key} is out of range, there are {len(value)}")
    return value[key]


def _slice(value: Any, *ends: int) -> Any:
    if not isinstance(value, list | tuple | str):
        raise Fault(f"slice: can't slice {_sort(value)}")
    begin, end = (*ends, *(0, len(value))[len(ends) :])
    if not 0 <= begin <= end <= len(value):
        raise Fault(f"slice: {begin}:{end} is out of range, there are {len(value)}")
    return value[begin:end]


def _len(value: Any) -> int:
    if not isinstance(value, Mapping | list | tuple | str):
        raise Fault(f"len: {_sort(value)} has no length")
    return len(value.encode()) if isinstance(value, str) else len(value)


def _same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _eq(left: Any, *others: Any) -> bool:
    if not others:
        raise Fault("eq: what to compare with is missing")
    return any(_same(left, other) for other in others)


def _ordered(name: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(left: Any, right: Any) -> bool:
        numbers = all(
            isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right)
        )
        if numbers or (isinstance(left, str) and isinstance(right, str)):
            return holds(left, right)
        raise Fault(f"{name}: can't compare {_sort(left)} with {_sort(right)}")

    return compared


def _print(*values: Any) -> str:
    """Blanks stand between two values of which neither is text, as Go does it."""
    parts: list[str] = []
    for before, value in zip((None, *values), values, strict=False):
        if parts and not isinstance(before, str) and not isinstance(value, str):
            parts.append(" ")
        parts.append(_verb_v(value))
    return "".join(parts)


def _println(*values: Any) -> str:
    return " ".join(map(_verb_v, values)) + "\n"


def _printf(template: str, *values: Any) -> str:
    if not isinstance(template, str):
        raise Fault("printf: the first argument is the text with the % in it")
    rest = list(values)

    def filled(match: re.Match[str]) -> str:
        flags, width, digits, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        return _formatted(verb, rest.pop(0), flags, int(width or 0), digits)

    text = _VERB.sub(filled, template)
    extra = ", ".join(map(_verb_v, rest))
    return f"{text}%!(EXTRA {extra})" if rest else text


def _formatted(verb: str, value: Any, flags: str, width: int, digits: str | None) -> str:
    text = _verb(verb, value, digits)
    if "+" in flags and verb in "df" and not text.startswith("-"):
        text = f"+{text}"
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and verb in "dfx":
        return text.zfill(width)
    return text.rjust(width)


def _verb(verb: str, value: Any, digits: str | None) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"%!{verb}({_verb_v(value)})"
    match verb:
        case "s" | "v":
            text = _verb_v(value)[: int(digits) if digits else None]
        case "q":
            text = json.dumps(_verb_v(value), ensure_ascii=False)
        case "t" if isinstance(value, bool):
            text = _verb_v(value)
        case "d" if number and value == int(value):
            text = str(int(value))
        case "f" if number:
            text = f"{value:.{int(digits or 6)}f}"
        case "x" if number and value == int(value):
            text = f"{int(value):x}"
        case "x" if isinstance(value, str):
            text = value.encode().hex()
    return text


def _join(first: Any, second: Any) -> str:
    """calicoctl's: the items and what stands between them, in either order."""
    items, between = (second, first) if isinstance(first, str) else (first, second)
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise Fault(f"join: a list is needed, not {_sort(items)}")
    return str(between).join(map(_verb_v, items))


def _exists(value: Any, *keys: Any) -> bool:
    """kubectl's: whether `index` would find something."""
    try:
        return _index(value, *keys) is not None
    except Fault:
        return False


def _js(value: Any) -> str:
    return json.dumps(_verb_v(value))[1:-1].replace("'", "\\'").replace("<", "\\u003C")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "not": lambda value: not value,
    "eq": _eq,
    "ne": lambda left, right: not _same(left, right),
    "lt": _ordered("lt", lambda left, right: left < right),
    "le": _ordered("le", lambda left, right: left <= right),
    "gt": _ordered("gt", lambda left, right: left > right),
    "ge": _ordered("ge", lambda left, right: left >= right),
    "len": _len,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "html": lambda value: html.escape(_verb_v(value)),
    "js": _js,
    "urlquery": lambda value: quote_plus(_verb_v(value)),
    "join": _join,
    "exists": _exists,
}
"""All functions. They raise Fault, or TypeError where the number of arguments is wrong."""
