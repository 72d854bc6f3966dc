"""Definitions that API servers take, and that judge as we do."""

import json
import re
from functools import cache
from itertools import product

import msgspec
import pytest
import yaml

from api.cel import Expression
from api.cel_examples import RULES
from api.schema_facts import parts_of, rules_of
from tortie.api import KINDS
from tortie.api.crds import CUSTOM_KINDS, GROUPS, NATIVE, STORED, definition, definitions
from tortie.api.manifests import read_manifests
from tortie.api.schemas import schema_of
from tortie.api.structure import faults, shape_faults, shape_of
from tortie.api.writing import yaml_text

BOTH = list(product(sorted(CUSTOM_KINDS), GROUPS))
SCALARS = {"string", "integer", "number", "boolean"}
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
MOST_BYTES = 256 * 1024  # of the annotation in which kubectl keeps what it applied


expression = cache(Expression)


@cache
def openapi(kind, group=NATIVE):
    (version,) = definition(KINDS[kind], group)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize(("kind", "group"), BOTH)
def test_schemas_are_structural(kind, group):
    """As Kubernetes demands: every part has one type, and nothing contradicts it."""
    for path, part in parts_of(openapi(kind, group)):
        if part.get("x-kubernetes-int-or-string"):
            assert part["anyOf"] == INT_OR_STRING, path
            assert "type" not in part, path
        else:
            assert part["type"] in {*SCALARS, "object", "array"}, path
            assert "anyOf" not in part, path
        assert ("items" in part) == (part.get("type") == "array"), path
        if {"properties", "additionalProperties"} & set(part):
            assert part["type"] == "object", path
        assert not {"properties", "additionalProperties"} <= set(part), path
        assert set(part.get("required", ())) <= set(part.get("properties", ())), path
        if path == "metadata":
            assert part == {"type": "object"}
        elif part.get("type") == "object" and not {"properties", "additionalProperties"} & set(
            part
        ):
            assert part["x-kubernetes-preserve-unknown-fields"], path


@pytest.mark.parametrize("kind", sorted(CUSTOM_KINDS))
def test_lists_can_be_merged_as_they_say(kind):
    for path, part in parts_of(openapi(kind)):
        items = part.get("items", {})
        if part.get("x-kubernetes-list-type") == "set":
            assert items["type"] in SCALARS, path
        if part.get("x-kubernetes-list-type") == "map":
            keys = part["x-kubernetes-list-map-keys"]
            assert set(keys) <= set(items["required"]), path
            assert all(items["properties"][key]["type"] in SCALARS for key in keys), path


def place_of(shape, path):
    """The shape of the field at a path of `parts_of`."""
    for step in re.findall(r"[^.\[\]{}]+|\[\]|\{\}", path):
        shape = bare(shape)
        if step == "[]":
            shape = shape.item_type
        elif step == "{}":
            shape = shape.value_type
        else:
            (shape,) = [field.type for field in shape.fields if field.encode_name == step]
    return shape


def bare(shape):
    while isinstance(shape, msgspec.inspect.Metadata | msgspec.inspect.UnionType):
        if isinstance(shape, msgspec.inspect.Metadata):
            shape = shape.type
        else:
            shape = next(
                each for each in shape.types if not isinstance(each, msgspec.inspect.NoneType)
            )
    return shape


@pytest.mark.parametrize("kind", sorted(CUSTOM_KINDS))
def test_defaults_are_values_that_our_own_reader_takes(kind):
    shape = shape_of(KINDS[kind].type)
    for path, part in parts_of(openapi(kind)):
        if "default" in part:
            assert list(shape_faults(place_of(shape, path), part["default"])) == [], path


def least(part):
    """The least that a schema takes: what is required."""
    if "default" in part:
        return part["default"]
    if "enum" in part:
        return part["enum"][-1]
    if part.get("type") == "object":
        fields = part.get("required", ())
        return {name: least(part["properties"][name]) for name in fields}
    if part.get("type") == "array":
        return [least(part["items"])] * part.get("minItems", 0)
    return {"integer": part.get("minimum", 1), "boolean": False}.get(part.get("type"), "x")


@pytest.mark.parametrize("kind", sorted(CUSTOM_KINDS))
def test_what_a_schema_requires_is_what_we_require(kind):
    schema = schema_of(KINDS[kind])
    body = {"spec": least(schema["properties"]["spec"])}
    assert [fault.message for fault in faults(KINDS[kind].type, body)] == []
    defaulted = {
        name
        for name, part in schema["properties"]["spec"]["properties"].items()
        if "default" in part
    }
    for name in set(body["spec"]) - defaulted:
        rest = {key: value for key, value in body["spec"].items() if key != name}
        found = [fault.path for fault in faults(KINDS[kind].type, {"spec": rest})]
        assert found == [f"spec.{name}"]


@pytest.mark.parametrize(("kind", "group"), BOTH)
def test_definitions_are_read_back_from_yaml_as_they_are(kind, group):
    found = definition(KINDS[kind], group)
    assert yaml.safe_load(yaml_text(found)) == found
    assert len(json.dumps(found)) < MOST_BYTES


def test_names_are_unique_in_each_group():
    for group in GROUPS:
        words = [
            word
            for each in definitions(group)
            for names in [each["spec"]["names"]]
            for word in {names["plural"], names["singular"], *names.get("shortNames", ())}
        ]
        assert len(words) == len(set(words))


def test_the_group_for_storage_has_its_own_names_and_keeps_specs_as_they_are():
    found = {each["metadata"]["name"] for each in definitions(STORED)}
    assert "ipamconfigs.crd.projectcalico.org" in found
    assert {name.partition(".")[2] for name in found} == {STORED}
    spec = openapi("BlockAffinity", STORED)["properties"]["spec"]
    assert "properties" not in spec
    assert spec["x-kubernetes-preserve-unknown-fields"]


def test_only_fields_of_the_schema_are_selectable():
    found = [each["spec"]["versions"][0] for group in GROUPS for each in definitions(group)]
    assert sum("selectableFields" in version for version in found) == 4
    for version in found:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for field in version.get("selectableFields", ()):
            assert field["jsonPath"].removeprefix(".spec.") in spec["properties"]


def filled(part, value):
    """The value with the defaults that an API server fills in."""
    if isinstance(value, dict):
        fields = part.get("properties", {})
        given = {name: field["default"] for name, field in fields.items() if "default" in field}
        return {k: filled(fields.get(k, {}), v) for k, v in {**given, **value}.items()}
    if isinstance(value, list):
        return [filled(part.get("items", {}), item) for item in value]
    return value


def objects_at(body, path):
    """What is at a path of `parts_of`: several where it goes through lists."""
    found = [body]
    for step in re.findall(r"[^.\[\]]+|\[\]", path):
        if step == "[]":
            found = [item for each in found for item in each]
        else:
            found = [each[step] for each in found if step in each]
    return found


@cache
def stated(kind):
    """(Path, message, expression) of the rules that need no older object."""
    return [
        (path, message, text)
        for path, rules in rules_of(openapi(kind)).items()
        for message, _, text in rules
        if "oldSelf" not in text
    ]


def refused(kind, name, spec):
    """Messages of the expressions that do not hold for an object."""
    body = filled(openapi(kind), {"metadata": {"name": name}, "spec": spec})
    return {
        message
        for path, message, text in stated(kind)
        for value in objects_at(body, path)
        if not expression(text).holds(value)
    }


def refused_here(kind, name, spec):
    """Messages of our own rules that also are an expression's."""
    manifest = {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
    errors = [error.message for error in read_manifests("f", json.dumps(manifest)).errors]
    known = {message for _, message, _ in stated(kind)}
    return {message for message in known for error in errors if error.startswith(message)}


def examples_of(kind):
    """The examples of the kind's expressions, good and bad, as (name, spec)."""
    known = {message for _, message, _ in stated(kind)}
    for message in sorted(known & set(RULES)):
        for example in RULES[message]:
            yield example if isinstance(example, tuple) else ("a", example)


WITH_RULES = sorted(kind for kind in CUSTOM_KINDS if list(examples_of(kind)))


@pytest.mark.parametrize("kind", WITH_RULES)
def test_expressions_and_our_rules_refuse_the_same_objects(kind):
    """Also any two examples in one, so that rules meet each other.

    We may say more of what is refused: defaults that follow from other fields come first here.
    """
    examples = list(examples_of(kind))
    for (name, spec), (_, more) in product(examples, examples):
        both = {**spec, **more}
        ours, theirs = refused_here(kind, name, both), refused(kind, name, both)
        assert theirs <= ours, both
        assert bool(ours) == bool(theirs), both
