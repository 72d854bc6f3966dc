"""Every field says what it is, in the API's words."""

import re

import pytest

from api.schema_facts import parts_of
from tortie.api import KINDS, descriptions
from tortie.api.calico.ip_pool import IPPoolSpec
from tortie.api.calico.rule import Rule
from tortie.api.calico.staged_policies import StagedNetworkPolicySpec
from tortie.api.schemas import schema_of

DURATION = re.compile(r"(Interval|Timeout|Delay|Period|Frequency|TTL)$")
SIZE = re.compile(r"(MTU|MTUV6|MB)$")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_field_is_without_a_description(kind):
    silent = [
        path
        for path, part in parts_of(schema_of(KINDS[kind]))
        if not path.endswith(("[]", "{}")) and not part.get("description", "").endswith(".")
    ]
    assert silent == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_descriptions_use_the_names_of_the_api(kind):
    parts = dict(parts_of(schema_of(KINDS[kind])))
    names = {re.split(r"[.\[{]", path.rstrip("[]{}"))[-1] for path in parts} | {
        "metadata.generation"
    }
    for path, part in parts.items():
        mentioned = re.findall(r"`([^`]+)`", part.get("description", ""))
        assert [name for name in mentioned if name not in {*names, "Node"}] == [], path


def test_durations_and_sizes_name_their_unit():
    spec = schema_of(KINDS["FelixConfiguration"])["properties"]["spec"]["properties"]
    for name, field in spec.items():
        if DURATION.search(name) and field["type"] == "string":
            assert "a duration" in field["description"], name
        if SIZE.search(name):
            assert re.search(r"in (bytes|MB)", field["description"]), name


def test_every_setting_of_the_agents_says_what_absent_means():
    """Absent lists and objects are empty, or say so."""
    spec = schema_of(KINDS["FelixConfiguration"])["properties"]["spec"]["properties"]
    silent = [
        name
        for name, field in spec.items()
        if field.get("type") not in ("array", "object")
        and not re.search(r"Absent: ", field["description"])
    ]
    assert silent == []


def test_a_field_is_described_where_it_is_declared_first():
    assert descriptions.of_field(StagedNetworkPolicySpec, "order").startswith("Lower comes first")
    assert descriptions.of_field(IPPoolSpec, "no_such_field") == ""


def test_names_in_descriptions_are_those_of_the_api():
    assert "`protocol` ICMP" in descriptions.of_field(Rule, "icmp")
    assert descriptions.of_type(Rule).startswith("One rule of a policy")
