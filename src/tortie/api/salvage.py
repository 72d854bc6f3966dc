"""The readable rest of data that does not fit its kind, so that all its errors come at once."""

from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from tortie.api.meta import Resource
from tortie.api.problems import likeliest
from tortie.api.structure import shape_faults, shape_of

R = TypeVar("R", bound=Resource)


def salvaged(type_: type[R], data: dict[str, Any]) -> R | None:
    """The resource in `data` with a stand-in for each part that does not fit; None: no use."""
    try:
        return msgspec.convert(_fitted(shape_of(type_), data), type_)
    except msgspec.ValidationError:
        return None


def _fitted(shape: inspect.Type, value: Any) -> Any:
    match _branch(shape, value):
        case inspect.StructType() as struct if isinstance(value, dict):
            return _fields(struct, value)
        case inspect.VarTupleType() as listed if isinstance(value, list):
            return [_fitted(listed.item_type, item) for item in value[: listed.max_length]]
        case inspect.DictType() as mapped if isinstance(value, dict):
            return {key: _fitted(mapped.value_type, item) for key, item in value.items()}
        case branch:
            return _stand_in(branch, value) if any(shape_faults(shape, value)) else value


def _fields(shape: inspect.StructType, value: dict[str, Any]) -> dict[str, Any]:
    """Fields that do not fit are left out where they may be."""
    fitted: dict[str, Any] = {}
    for field in shape.fields:
        item = value.get(field.encode_name)
        if field.required or (item is not None and not _is_hopeless(field.type, item)):
            fitted[field.encode_name] = _fitted(field.type, item)
    return fitted


def _is_hopeless(shape: inspect.Type, value: Any) -> bool:
    """A scalar that does not fit, or a container in a scalar's place (or the reverse)."""
    branch = _branch(shape, value)
    if isinstance(value, dict) and isinstance(branch, inspect.StructType | inspect.DictType):
        return False
    if isinstance(value, list) and isinstance(branch, inspect.VarTupleType):
        return len(value) < (branch.min_length or 0)
    return any(shape_faults(shape, value))


def _branch(shape: inspect.Type, value: Any) -> inspect.Type:
    """The branch of a union that speaks of such a value, without wrappers."""
    if isinstance(shape, inspect.Metadata):
        return _branch(shape.type, value)
    if not isinstance(shape, inspect.UnionType):
        return shape
    branches = [each for each in shape.types if not isinstance(each, inspect.NoneType)]
    fitting = [each for each in branches if not any(shape_faults(each, value))]
    return _branch((fitting or branches)[0], value)


def _stand_in(shape: inspect.Type, value: Any) -> Any:
    """Something that fits; for a misspelt choice what was probably meant."""
    match shape:
        case inspect.LiteralType():
            choices = [choice for choice in shape.values if isinstance(choice, str)]
            return likeliest(str(value), choices) or shape.values[0]
        case inspect.StructType():
            return _fields(shape, {})
        case inspect.DictType():
            return {}
        case inspect.VarTupleType():
            return []
        case inspect.IntType() | inspect.FloatType():
            return shape.ge or 0
    return False if isinstance(shape, inspect.BoolType) else ""
