"""What a schema says of each field, from OpenAPI and from our types, in one form to compare.

Run as a program it makes `schema-facts.json` from the OpenAPI schemas and CEL rules of the 22
kinds: `python tests/api/schema_facts.py resource-schemas.json > tests/api/schema-facts.json`.
"""

import json
import sys

from msgspec import inspect

_KEPT = (
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "format",
    "default",
)
_INT_FORMATS = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}


def facts_of_openapi(schema, path=""):
    """Path → facts of the field, for all fields at and below `path`."""
    found = {path: _openapi_facts(schema)} if path else {}
    for name, field in schema.get("properties", {}).items():
        below = facts_of_openapi(field, f"{path}.{name}" if path else name)
        if name in schema.get("required", ()) and "default" not in field:
            below[f"{path}.{name}" if path else name]["required"] = True
        found |= below
    if "items" in schema:
        found |= facts_of_openapi(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        found |= facts_of_openapi(schema["additionalProperties"], f"{path}{{}}")
    return found


def _openapi_facts(schema):
    facts = {key: schema[key] for key in _KEPT if key in schema}
    facts["type"] = "map" if "additionalProperties" in schema else schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        facts["type"] = "int-or-string"
        facts.pop("pattern", None)
    choices = [part["enum"] for part in (schema, *schema.get("allOf", ())) if "enum" in part]
    if choices:
        common = set(choices[0]).intersection(*choices[1:])
        facts["enum"] = sorted(choice for choice in common if choice != "")
        facts.pop("pattern", None)  # says the same again
    if schema.get("x-kubernetes-list-type") in ("set", "map"):
        facts["list"] = schema["x-kubernetes-list-type"]
    return facts


def facts_of_type(type_):
    """The same for one of our kinds."""
    found = {}
    for field in inspect.type_info(type_).fields:
        if field.encode_name != "metadata":
            found |= _field_facts(field, field.encode_name)
    return found


def _field_facts(field, path):
    found = _shape_facts(field.type, path)
    if field.required:
        found[path]["required"] = True
    if isinstance(field.default, str | int | float) and field.default:
        found[path]["default"] = field.default
    return found


def _shape_facts(shape, path):
    if isinstance(shape, inspect.Metadata):
        found = _shape_facts(shape.type, path)
        extra = dict(shape.extra_json_schema or {})
        if listed := extra.pop("x-kubernetes-list-type", None):
            found[path]["list"] = listed
        extra.pop("x-kubernetes-list-map-keys", None)
        found[path] |= extra
        bounds = _INT_FORMATS.get(found[path].get("format"))
        if bounds and all(found[path].get(key) == value for key, value in bounds.items()):
            for key in bounds:
                del found[path][key]
        return found
    match shape:
        case inspect.UnionType():
            return _union_facts(shape, path)
        case inspect.StructType():
            found = {path: {"type": "object"}}
            for field in shape.fields:
                found |= _field_facts(field, f"{path}.{field.encode_name}")
            return found
        case inspect.VarTupleType():
            facts = {"type": "array", "minItems": shape.min_length, "maxItems": shape.max_length}
            return {path: _given(facts)} | _shape_facts(shape.item_type, f"{path}[]")
        case inspect.DictType():
            return {path: {"type": "map"}} | _shape_facts(shape.value_type, f"{path}{{}}")
    return {path: _scalar_facts(shape)}


def _union_facts(shape, path):
    branches = [each for each in shape.types if not isinstance(each, inspect.NoneType)]
    if {type(each) for each in branches} == {inspect.IntType, inspect.StrType}:
        return {path: {"type": "int-or-string"}}
    literals = [each for each in branches if isinstance(each, inspect.LiteralType)]
    if literals:
        values = sorted(value for each in literals for value in each.values if value != "")
        return {path: {"type": _sort_of(values), "enum": values}}
    (branch,) = branches
    return _shape_facts(branch, path)


def _scalar_facts(shape):
    match shape:
        case inspect.LiteralType():
            values = sorted(shape.values)
            return {"type": _sort_of(values), "enum": values}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return _given({"type": "integer", "minimum": shape.ge, "maximum": shape.le})
        case inspect.FloatType():
            return {"type": "number"}
        case inspect.StrType():
            lengths = {"minLength": shape.min_length, "maxLength": shape.max_length}
            return _given({"type": "string", "pattern": shape.pattern, **lengths})
    raise AssertionError(f"no facts of {shape}")


def _sort_of(values):
    return "integer" if isinstance(values[0], int) else "string"


def _given(facts):
    return {key: value for key, value in facts.items() if value is not None}


def rules_of_openapi(schema, path=""):
    """Path → messages of the CEL rules there."""
    rules = schema.get("x-kubernetes-validations", ())
    found = {path: [rule["message"] for rule in rules]} if rules else {}
    for name, field in schema.get("properties", {}).items():
        found |= rules_of_openapi(field, f"{path}.{name}" if path else name)
    if "items" in schema:
        found |= rules_of_openapi(schema["items"], f"{path}[]")
    return found


def main(source):
    with open(source) as file:
        kinds = json.load(file)
    lines = []
    for name, kind in kinds.items():
        facts = facts_of_openapi(kind["schema"])
        entry = {
            "plural": kind["names"]["plural"],
            "shortNames": kind["names"].get("shortNames", []),
            "scope": kind["scope"],
            "rules": rules_of_openapi(kind["schema"]),
            "facts": facts,
        }
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}")
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main(sys.argv[1])
