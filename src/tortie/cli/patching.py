"""Patches of manifests: JSON merge patch (RFC 7386) and JSON patch (RFC 6902). Pure.

Strategic merge patches are merge patches here: no list of our kinds has a merge key.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from tortie.cli.errors import UserError

_ROOT = ""
_NEEDS = {
    "add": ("value",),
    "replace": ("value",),
    "test": ("value",),
    "remove": (),
    "move": ("from",),
    "copy": ("from",),
}


def merge_patched(target: Any, patch: Any) -> Any:
    """`target` with the fields of `patch`; null removes a field, lists are replaced."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patched(result.get(name), value)
    return result


def json_patched(target: Any, operations: Any) -> Any:
    """`target` after all operations. Raises UserError naming the first that can't be done."""
    if not isinstance(operations, list):
        raise UserError('a patch of type json is a list: [{"op": "replace", "path": …}]')
    holder = {_ROOT: deepcopy(target)}
    for index, operation in enumerate(operations):
        try:
            _operate(holder, operation)
        except _Impossible as error:
            raise UserError(f"operation {index} of the patch: {error}") from None
    return holder[_ROOT]


class _Impossible(Exception):
    """Why an operation can't be done."""


def _operate(holder: dict[str, Any], operation: Any) -> None:
    if not isinstance(operation, Mapping) or operation.get("op") not in _NEEDS:
        raise _Impossible(f"op must be one of {', '.join(_NEEDS)}")
    for field in ("path", *_NEEDS[operation["op"]]):
        if field not in operation:
            raise _Impossible(f"{operation['op']} needs {field!r}")
    path = _steps(operation["path"])
    match operation["op"]:
        case "add":
            _add(holder, path, deepcopy(operation["value"]))
        case "remove":
            _remove(holder, path)
        case "replace":
            _remove(holder, path)
            _add(holder, path, deepcopy(operation["value"]))
        case "copy":
            _add(holder, path, deepcopy(_look_up(holder, _steps(operation["from"]))))
        case "move":
            origin = _steps(operation["from"])
            if path[: len(origin)] == origin and path != origin:
                raise _Impossible("nothing can be moved into itself")
            _add(holder, path, _remove(holder, origin))
        case _:
            _test(_look_up(holder, path), operation)


def _test(found: Any, operation: Mapping[str, Any]) -> None:
    if found != operation["value"] or isinstance(found, bool) != isinstance(
        operation["value"], bool
    ):
        raise _Impossible(f"test failed: {operation['path']} is {found!r}")


def _steps(pointer: Any) -> list[str]:
    """The steps of a JSON pointer from the holder: the whole is its field of no name."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise _Impossible(f"a path begins with /, found {pointer!r}")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")]


def _look_up(holder: Any, path: list[str]) -> Any:
    value = holder
    for depth, step in enumerate(path):
        match value:
            case Mapping() if step in value:
                value = value[step]
            case list() if step != "-" and _index(step, len(value) - 1) is not None:
                value = value[int(step)]
            case _:
                raise _Impossible(f"there is no {'/'.join(path[: depth + 1])}")
    return value


def _add(holder: Any, path: list[str], value: Any) -> None:
    parent = _look_up(holder, path[:-1])
    match parent:
        case dict():
            parent[path[-1]] = value
        case list() if path[-1] == "-":
            parent.append(value)
        case list() if _index(path[-1], len(parent)) is not None:
            parent.insert(int(path[-1]), value)
        case _:
            raise _Impossible(f"nothing can be put at {'/'.join(path)}")


def _remove(holder: Any, path: list[str]) -> Any:
    value = _look_up(holder, path)
    parent = _look_up(holder, path[:-1])
    del parent[path[-1] if isinstance(parent, dict) else int(path[-1])]
    return value


def _index(step: str, last: int) -> int | None:
    """The index that a step names, where it is from 0 to `last`."""
    plain = step == "0" or (step.isascii() and step.isdigit() and step[0] != "0")
    return int(step) if plain and int(step) <= last else None


PATCHED: dict[str, Callable[[Any, Any], Any]] = {
    "strategic": merge_patched,
    "merge": merge_patched,
    "json": json_patched,
}
"""How to patch, by the word of `--type`."""
