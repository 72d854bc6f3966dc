"""The structural OpenAPI schema of each kind, from its types, rules and docstrings.

Nothing is said here that is not said there: bounds come from the types, expressions from beside the
rules that they repeat, descriptions from below the fields. `tortie.api.crds` wraps these schemas
for API servers, `tortie.api.explain` for people.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import inspect

from tortie.api import descriptions
from tortie.api.fields import UNUSED
from tortie.api.registry import Kind
from tortie.api.rules import Cel
from tortie.api.structure import shape_of
from tortie.api.validation import stated_rules

Schema = dict[str, Any]
Place = tuple[str, ...]
"""The steps to a part of a kind, by our names of fields; "[]" and "{}" are all items and values."""
Stated = Mapping[Place, Sequence[Cel]]

_FORMATS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_TYPE_FIELDS = {
    "apiVersion": "The group and version of the kind.",
    "kind": "The kind.",
}


def schema_of(kind: Kind) -> Schema:
    """The schema of a whole object of the kind, its metadata too."""
    stated: dict[Place, list[Cel]] = {}
    for place, cel in stated_rules(kind.name):
        stated.setdefault(place, []).append(cel)
    schema = _schema(shape_of(kind.type), (), stated)
    names = {name: {"description": text, "type": "string"} for name, text in _TYPE_FIELDS.items()}
    return {**schema, "properties": {**names, **schema["properties"]}}


def _schema(shape: inspect.Type, place: Place, stated: Stated) -> Schema:
    match shape:
        case inspect.Metadata():
            return _adjusted(_schema(shape.type, place, stated), shape.extra_json_schema or {})
        case inspect.UnionType():
            return _one_of(shape, place, stated)
        case inspect.StructType():
            return _object(shape, place, stated)
        case inspect.VarTupleType():
            return _list(shape, place, stated)
        case inspect.DictType():
            values = _schema(shape.value_type, (*place, "{}"), stated)
            return {"type": "object", "additionalProperties": values}
    return _scalar(shape)


def _adjusted(schema: Schema, extra: Mapping[str, Any]) -> Schema:
    """With what only schemas say, and without what they don't (None) or need not say."""
    schema = {**schema, **extra}
    bounds = _FORMATS.get(schema.get("format", ""))
    if bounds and bounds == (schema.get("minimum"), schema.get("maximum")):
        del schema["minimum"], schema["maximum"]
    return {key: value for key, value in schema.items() if value is not None}


def _one_of(shape: inspect.UnionType, place: Place, stated: Stated) -> Schema:
    branches = [each for each in shape.types if not isinstance(each, inspect.NoneType)]
    literals = [each for each in branches if isinstance(each, inspect.LiteralType)]
    if literals:
        return _scalar(inspect.LiteralType(tuple(v for each in literals for v in each.values)))
    if len(branches) == 1:
        return _schema(branches[0], place, stated)
    return {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": "^.*",
        "x-kubernetes-int-or-string": True,
    }


def _object(shape: inspect.StructType, place: Place, stated: Stated) -> Schema:
    required = sorted(field.encode_name for field in shape.fields if _is_required(field))
    expressions = [_validation(cel) for cel in stated.get(place, ())]
    return _given(
        description=descriptions.of_type(shape.cls),
        type="object",
        properties={
            field.encode_name: _field(shape.cls, field, place, stated) for field in shape.fields
        },
        required=required or None,
        **getattr(shape.cls, "schema_extra", {}),
        **{"x-kubernetes-validations": expressions or None},
    )


def _field(class_: type, field: inspect.Field, place: Place, stated: Stated) -> Schema:
    here = (*place, field.name)
    schema = _schema(field.type, here, stated)
    if "enum" in schema and not _is_required(field):
        schema["enum"] = [choice for choice in schema["enum"] if choice != ""]
    if isinstance(field.default, str | int | float) and field.default:
        schema["default"] = field.default
    if here in stated and schema.get("type") != "object":  # objects have theirs already
        schema["x-kubernetes-validations"] = [_validation(cel) for cel in stated[here]]
    said = descriptions.of_field(class_, field.name) or schema.get("description")
    return _given(**{**schema, "description": said})


def _is_required(field: inspect.Field) -> bool:
    extra = field.type.extra if isinstance(field.type, inspect.Metadata) else None
    return field.required or bool((extra or {}).get("required"))


def _list(shape: inspect.VarTupleType, place: Place, stated: Stated) -> Schema:
    item = _schema(shape.item_type, (*place, "[]"), stated)
    union = shape.item_type
    if isinstance(union, inspect.UnionType) and inspect.NoneType() in union.types:
        item["nullable"] = True
    return _given(
        type="array",
        items=item,
        minItems=shape.min_length,
        maxItems=shape.max_length,
        **{"x-kubernetes-list-type": "atomic"},
    )


def _scalar(shape: inspect.Type) -> Schema:
    match shape:
        case inspect.LiteralType():
            sort = "integer" if isinstance(shape.values[0], int) else "string"
            return {"type": sort, "enum": list(shape.values)}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return _given(type="integer", minimum=shape.ge, maximum=shape.le)
        case inspect.FloatType():
            return _given(type="number", minimum=shape.ge, maximum=shape.le)
        case inspect.StrType():
            return _given(
                type="string",
                minLength=shape.min_length,
                maxLength=shape.max_length,
                pattern=shape.pattern,
            )
    return {"description": UNUSED, "x-kubernetes-preserve-unknown-fields": True}


def _validation(cel: Cel) -> Schema:
    return _given(message=cel.message, reason=cel.reason or None, rule=cel.expression)


def _given(**schema: Any) -> Schema:
    return {key: value for key, value in schema.items() if value is not None}
