"""What a schema says of each field, in one form to compare; and the extract of the API's own.

Run as a program it makes `schema-facts.json` from the OpenAPI schemas and CEL rules of the 22
kinds: `python tests/api/schema_facts.py resource-schemas.json > tests/api/schema-facts.json`.
"""

import json
import sys

_KEPT = (
    "type",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "format",
    "default",
    "nullable",
    "anyOf",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
)
_READ = {
    *("properties", "items", "additionalProperties", "required", "enum", "allOf"),
    *("description", "x-kubernetes-validations"),
}


def facts_of(schema, path=""):
    """Path → facts of the field, for the object itself ("") and all below it."""
    return {place: _facts(part) for place, part in parts_of(schema, path)}


def parts_of(schema, path=""):
    """(Path, schema) of the object itself and of everything below it."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from parts_of(field, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from parts_of(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from parts_of(schema["additionalProperties"], f"{path}{{}}")


def _facts(schema):
    assert set(schema) <= {*_KEPT, *_READ}
    facts = {key: schema[key] for key in _KEPT if key in schema}
    if required := schema.get("required"):
        facts["required"] = sorted(required)
    choices = [part["enum"] for part in (schema, *schema.get("allOf", ())) if "enum" in part]
    if choices:
        facts["enum"] = sorted(set(choices[0]).intersection(*choices[1:]))
    return facts


def rules_of(schema):
    """Path → [message, reason, expression] of the CEL rules there, in order of the alphabet."""
    return {
        path: sorted([rule["message"], rule.get("reason", ""), rule["rule"]] for rule in rules)
        for path, part in parts_of(schema)
        if (rules := part.get("x-kubernetes-validations"))
    }


def main(source):
    with open(source) as file:
        kinds = json.load(file)
    table = []
    entries = {}
    for name, kind in kinds.items():
        rules = rules_of(kind["schema"])
        table += [rule for found in rules.values() for rule in found if rule not in table]
        entries[name] = {
            "names": kind["names"],
            "scope": kind["scope"],
            "columns": kind["columns"],
            "subresources": kind["subresources"],
            "rules": {path: [table.index(rule) for rule in found] for path, found in rules.items()},
            "facts": facts_of(kind["schema"]),
        }
    entries["rules"] = table
    lines = (f"{json.dumps(name)}: {_compact(entry)}" for name, entry in entries.items())
    print("{\n" + ",\n".join(lines) + "\n}")


def _compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1])
