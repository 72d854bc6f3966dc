"""Plain data laid over older plain data, of which stays what the shape does not know. Pure.

Apart from `tortie.api.unknown_fields`, which is loaded with every datastore and seldom needs this.
"""

from collections import defaultdict, deque
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from tortie.api.codec import drop_nulls


class _Holds(NamedTuple):
    """Where plain data of a shape can have unknown fields: `fields` of an object, `rest` of a map,
    `items` of a list; all None: nowhere.
    """

    fields: dict[str, "_Holds"] | None = None
    rest: "_Holds | None" = None
    items: "_Holds | None" = None


_NOWHERE = _Holds()


def knows_all(kind: type[msgspec.Struct], found: dict[str, Any]) -> bool:
    """Whether plain data has no field that the kind lacks. Told without looking at what has none:
    a block has a thousand numbers, and six fields.
    """
    return _knows(_holds_of(kind), found)


def _knows(holds: _Holds, found: Any) -> bool:
    if isinstance(found, dict):
        if holds.fields is not None:
            fields = holds.fields
            return all(
                (inner := fields.get(name)) is not None
                and (inner is _NOWHERE or _knows(inner, item))
                for name, item in found.items()
            )
        return holds.rest is None or all(_knows(holds.rest, item) for item in found.values())
    if isinstance(found, list) and holds.items is not None:
        return all(_knows(holds.items, item) for item in found)
    return True


@cache
def _holds_of(kind: type[msgspec.Struct]) -> _Holds:
    return _holds(inspect.type_info(kind))


def _holds(shape: inspect.Type) -> _Holds:
    match shape:
        case inspect.Metadata():
            return _holds(shape.type)
        case inspect.StructType():
            return _Holds({field.encode_name: _holds(field.type) for field in shape.fields})
        case inspect.DictType():
            inner = _holds(shape.value_type)
            return _NOWHERE if inner is _NOWHERE else _Holds(rest=inner)
        case inspect.VarTupleType():
            inner = _holds(shape.item_type)
            return _NOWHERE if inner is _NOWHERE else _Holds(items=inner)
        case inspect.UnionType():
            return _either([_holds(branch) for branch in shape.types])
    return _NOWHERE


def _either(branches: list[_Holds]) -> _Holds:
    """An object, a map and a list are told apart by what is found."""
    found = _Holds(
        *(next((part for part in parts if part), None) for parts in zip(*branches, strict=True))
    )
    return _NOWHERE if found == _NOWHERE else found


def overlaid(shape: inspect.Type, before: Any, after: Any) -> Any:
    """`after` of this shape with what `before` has beyond the shape."""
    match _holder(shape, after):
        case inspect.StructType() as struct if isinstance(before, dict):
            return _object(struct, before, after)
        case inspect.DictType() as mapped if isinstance(before, dict):
            return {
                key: overlaid(mapped.value_type, before.get(key), item)
                for key, item in after.items()
            }
        case inspect.VarTupleType() as listed if isinstance(before, list):
            return _items(listed.item_type, before, after)
    return after


def _holder(shape: inspect.Type, value: Any) -> inspect.Type | None:
    """The part of `shape` that speaks of `value`, where that can hold fields."""
    match shape:
        case inspect.Metadata():
            return _holder(shape.type, value)
        case inspect.UnionType():
            return next(filter(None, (_holder(branch, value) for branch in shape.types)), None)
        case inspect.StructType() | inspect.DictType() if isinstance(value, dict):
            return shape
        case inspect.VarTupleType() if isinstance(value, list):
            return shape
    return None


def _object(shape: inspect.StructType, before: dict[str, Any], after: dict[str, Any]) -> Any:
    fields = {field.encode_name: field for field in shape.fields}
    result = dict(after)
    for name, item in before.items():
        field = fields.get(name)
        if field is None:
            result.setdefault(name, item)
        elif name in after:
            result[name] = overlaid(field.type, item, after[name])
        elif isinstance(field.default, msgspec.Struct) and (rest := overlaid(field.type, item, {})):
            result[name] = rest  # as it was: an object of defaults, which `written` leaves out
    return result


def _items(shape: inspect.Type, before: list[Any], after: list[Any]) -> list[Any]:
    """Each item with the unknown fields of the first not yet taken that says the same."""
    earlier: defaultdict[bytes, deque[Any]] = defaultdict(deque)
    for item in before:
        if (known := _known(shape, item)) is not None:
            earlier[known].append(item)
    if not earlier:
        return after
    result = []
    for item in after:
        same = earlier.get(_known(shape, item) or b"")
        result.append(overlaid(shape, same.popleft(), item) if same else item)
    return result


def _known(shape: inspect.Type, item: Any) -> bytes | None:
    """All that we know of an item that is an object, to be compared; None for other items."""
    holder = _holder(shape, item)
    if not isinstance(holder, inspect.StructType):
        return None
    try:
        known = msgspec.convert(drop_nulls(item), holder.cls)
    except msgspec.ValidationError:
        return None
    return msgspec.json.encode(known, order="deterministic")
