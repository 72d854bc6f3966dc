"""Plain data laid over older plain data, of which stays what the shape does not know. Pure.

Apart from `tortie.api.unknown_fields`, which is loaded with every datastore and seldom needs this.
"""

from collections import defaultdict, deque
from typing import Any

import msgspec
from msgspec import inspect

from tortie.api.codec import drop_nulls


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
