"""Our types say exactly what the API's schemas say (`schema_facts.py` makes the extract)."""

import json
from pathlib import Path

import pytest
from msgspec import inspect

from api.cel_examples import OF_UPDATES, POOL, RULES, SELECTORS
from api.schema_facts import facts_of, rules_of
from tortie.api import KINDS, decode
from tortie.api.crds import CUSTOM_KINDS, NATIVE, definition
from tortie.api.manifests import read_manifests
from tortie.api.structure import shape_of
from tortie.api.validation import apply_defaults, validate_update

SCHEMAS = json.loads(Path(__file__).with_name("schema-facts.json").read_text())
CEL = SCHEMAS.pop("rules")


def generated(kind):
    (version,) = definition(KINDS[kind], NATIVE)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def test_every_kind_of_the_api_has_a_definition():
    assert set(SCHEMAS) == set(CUSTOM_KINDS)


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_field_is_there_with_its_type_bounds_and_default(kind):
    expected, found = SCHEMAS[kind]["facts"], facts_of(generated(kind))
    assert sorted(found) == sorted(expected)
    different = {
        path: (found[path], expected[path]) for path in found if found[path] != expected[path]
    }
    assert different == {}


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_cel_rule_stands_where_the_api_has_it(kind):
    expected = {
        path: [CEL[number] for number in numbers]
        for path, numbers in SCHEMAS[kind]["rules"].items()
    }
    assert rules_of(generated(kind)) == expected


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_kinds_have_the_names_of_the_api(kind):
    entry = KINDS[kind]
    schema = SCHEMAS[kind]
    assert set(schema["names"].get("shortNames", [])) <= set(entry.aliases)
    assert entry.api_version == "projectcalico.org/v3"
    spec = definition(entry, NATIVE)["spec"]
    (version,) = spec["versions"]
    assert spec["names"] == schema["names"]
    assert spec["scope"] == schema["scope"]
    assert version.get("additionalPrinterColumns", []) == schema["columns"]
    assert list(version.get("subresources", {})) == schema["subresources"]


def extras_of(shape, default=inspect.NODEFAULT):
    """All that types add to their schemas, each with the shape and the default of its field."""
    match shape:
        case inspect.Metadata():
            yield shape.extra_json_schema or {}, shape.type, default
            yield from extras_of(shape.type)
        case inspect.UnionType():
            for branch in shape.types:
                yield from extras_of(branch)
        case inspect.StructType():
            for field in shape.fields:
                yield from extras_of(field.type, field.default)
        case inspect.VarTupleType():
            yield from extras_of(shape.item_type)
        case inspect.DictType():
            yield from extras_of(shape.value_type)


ONLY_IN_SCHEMAS = {"format", "nullable", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"}


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_types_enforce_whatever_they_tell_schemas(kind):
    """A schema may say less than a type, never more: our own process would let more through."""
    for extra, shape, default in extras_of(shape_of(KINDS[kind].type)):
        said = {key: value for key, value in extra.items() if value is not None}
        if "default" in said:
            assert said.pop("default") == default
        if said.get("type") == "integer":  # what people write as text becomes one by default
            del said["type"]
        if "pattern" in said:
            choices = isinstance(shape, inspect.UnionType)
            assert choices or shape.pattern is not None
            del said["pattern"]
        if "type" in said:  # what people write otherwise, defaults turn into this
            assert isinstance(bare(shape), inspect.UnionType)
            del said["type"]
        assert set(said) <= ONLY_IN_SCHEMAS


def bare(shape):
    return bare(shape.type) if isinstance(shape, inspect.Metadata) else shape


CASES = sorted(
    {
        (kind, message)
        for kind, schema in SCHEMAS.items()
        for numbers in schema["rules"].values()
        for message in (CEL[number][0] for number in numbers)
        if message not in OF_UPDATES
    }
)


def errors_of(kind, example):
    name, spec = example if isinstance(example, tuple) else ("a", example)
    manifest = {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
    return [error.message for error in read_manifests("f", json.dumps(manifest)).errors]


@pytest.mark.parametrize(("kind", "message"), CASES)
def test_every_cel_rule_accepts_and_rejects(kind, message):
    accepted, rejected = RULES[message]
    assert errors_of(kind, accepted) == []
    assert any(found.startswith(message) for found in errors_of(kind, rejected))


@pytest.mark.parametrize("field", ["selector", "serviceAccountSelector", "namespaceSelector"])
@pytest.mark.parametrize("kind", sorted(kind for kind in SCHEMAS if "NetworkPolicy" in kind))
def test_global_selects_no_endpoints(kind, field):
    if f"spec.{field}" in SCHEMAS[kind]["facts"]:
        assert errors_of(kind, {field: "all()"}) == []
        assert errors_of(kind, {field: "global()"}) == [SELECTORS]


def test_every_example_belongs_to_a_rule():
    assert set(RULES) == {message for _, message in CASES}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cidr": "10.1.0.0/16"}, "CIDR cannot be changed"),
        ({"blockSize": 28}, "Block size cannot be changed"),
        ({"natOutgoing": True}, None),
    ],
)
def test_a_pool_keeps_its_addresses_and_blocks(change, message):
    before = decode("IPPool", json.dumps({"spec": POOL}).encode())
    after = decode("IPPool", json.dumps({"spec": {**POOL, **change}}).encode())
    found = validate_update(apply_defaults(before), apply_defaults(after))
    said = [violation.message.partition(";")[0] for violation in found]
    assert said == ([message] if message else [])
