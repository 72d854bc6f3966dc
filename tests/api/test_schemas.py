"""Our types say exactly what the API's schemas say (`schema_facts.py` makes the extract)."""

import json
from pathlib import Path

import pytest

from api.cel_examples import OF_UPDATES, POOL, RULES, SELECTORS
from api.schema_facts import facts_of_type
from tortie.api import KINDS, decode
from tortie.api.manifests import read_manifests
from tortie.api.validation import apply_defaults, validate_update

SCHEMAS = json.loads(Path(__file__).with_name("schema-facts.json").read_text())
TOP = {"apiVersion", "kind", "metadata"}


def schema_facts(kind):
    facts = {path: dict(facts) for path, facts in SCHEMAS[kind]["facts"].items() if path not in TOP}
    for path, fact in facts.items():
        if fact.get("default") in ("", False, 0):
            del fact["default"]  # what an absent field is anyway
        if path.lower().endswith(("asnumber", "aspathprefix[]", "prependaspath.prefix[]")):
            # AS numbers have 32 bits without a sign, which the schema's int32 does not say
            fact |= {"minimum": 0, "maximum": 2**32 - 1}
    return facts


def our_facts(kind):
    facts = facts_of_type(KINDS[kind].type)
    if kind == "StagedKubernetesNetworkPolicy":
        for path, fact in facts.items():
            # Kubernetes itself holds these to its own lists, which the schema leaves out
            if path.endswith(("operator", "protocol", "policyTypes[]")):
                del fact["enum"]
    return facts


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_field_is_there_with_its_type_bounds_and_default(kind):
    expected, found = schema_facts(kind), our_facts(kind)
    assert sorted(found) == sorted(expected)
    different = {
        path: (found[path], expected[path]) for path in found if found[path] != expected[path]
    }
    assert different == {}


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_kinds_have_the_names_of_the_api(kind):
    entry = KINDS[kind]
    schema = SCHEMAS[kind]
    assert entry.plural == schema["plural"]
    assert set(schema["shortNames"]) <= set(entry.aliases)
    assert entry.namespaced == (schema["scope"] == "Namespaced")
    assert entry.api_version == "projectcalico.org/v3"


CASES = sorted(
    {
        (kind, message)
        for kind, schema in SCHEMAS.items()
        for messages in schema["rules"].values()
        for message in messages
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
