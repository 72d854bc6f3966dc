"""What our types do not know of a stored object survives our writing it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from strategies.resources import TEXT, any_resource
from tortie.api import KINDS, Resource, decode, encode, with_metadata
from tortie.api.structure import shape_of
from tortie.api.unknown_fields import carried

UNKNOWN = st.dictionaries(
    TEXT.map("x-".__add__), st.none() | st.integers(0, 9) | st.dictionaries(TEXT, TEXT, max_size=2)
)


def pools(stored: dict[str, Any], written: dict[str, Any]) -> Any:
    """What is stored after `written` was written over `stored`, both specs of a pool."""
    before = json.dumps({"metadata": {"name": "p"}, "spec": stored}).encode()
    after = encode(decode("IPPool", json.dumps({"spec": written}).encode()))
    return json.loads(carried("IPPool", before, after))["spec"]


def rules(stored: list[Any], written: list[Any]) -> Any:
    """The same for the ingress rules of a policy."""
    kind = "GlobalNetworkPolicy"
    before = json.dumps({"metadata": {"name": "p"}, "spec": {"ingress": stored}}).encode()
    after = encode(decode(kind, json.dumps({"spec": {"ingress": written}}).encode()))
    return json.loads(carried(kind, before, after))["spec"]["ingress"]


def test_an_unknown_field_stays_and_a_known_one_is_the_written_one() -> None:
    stored = {"cidr": "10.0.0.0/16", "natOutgoing": True, "newest": {"a": None}}
    assert pools(stored, {"cidr": "10.0.0.0/16"}) == {
        "cidr": "10.0.0.0/16",
        "newest": {"a": None},
    }


def test_unknown_parts_of_the_object_itself_and_its_metadata_stay() -> None:
    stored = b'{"kind": "Tier", "metadata": {"name": "t", "x": 1}, "spec": {}, "y": {"z": []}}'
    written = encode(decode("Tier", b'{"metadata": {"name": "t"}, "spec": {"order": 1}}'))
    assert json.loads(carried("Tier", stored, written)) == {
        "apiVersion": "projectcalico.org/v3",
        "kind": "Tier",
        "metadata": {"name": "t", "x": 1},
        "spec": {"order": 1.0},
        "y": {"z": []},
    }


def test_what_was_removed_takes_its_unknown_fields_along() -> None:
    stored = [{"action": "Allow", "source": {"selector": "a", "new": 1}}]
    assert rules(stored, [{"action": "Allow"}]) == [{"action": "Allow"}]


def test_items_that_say_the_same_keep_their_unknown_fields_wherever_they_stand_now() -> None:
    allow, deny, log = {"action": "Allow"}, {"action": "Deny"}, {"action": "Log"}
    stored = [{**allow, "new": 1}, {**deny, "source": {"new": 2}}, {**allow, "new": 3}]
    assert rules(stored, [log, {**deny, "source": {}}, allow, allow, allow]) == [
        log,
        {**deny, "source": {"new": 2}},
        {**allow, "new": 1},
        {**allow, "new": 3},
        allow,
    ]


def test_a_changed_rule_keeps_nothing_of_what_it_was() -> None:
    stored = [{"action": "Allow", "source": {"selector": "a == 'x'"}, "onlyOnMondays": True}]
    written = [{"action": "Deny", "source": {"selector": "a == 'x'"}}]
    assert rules(stored, written) == written


def test_nulls_and_defaults_of_other_writers_do_not_tell_items_apart() -> None:
    stored = [{"action": "Allow", "protocol": None, "source": None, "new": 1}]
    assert rules(stored, [{"action": "Allow"}]) == [{"action": "Allow", "new": 1}]


def test_an_object_of_defaults_keeps_its_unknown_fields() -> None:
    stored = b'{"metadata": {"name": "n"}, "spec": {"new": 1}}'
    written = encode(decode("Service", stored))
    assert json.loads(carried("Service", stored, written))["spec"] == {"new": 1}


@pytest.mark.parametrize(
    "broken", [b"", b"no JSON", b"[]", b'{"metadata": 7}', b"\xff", b"[" * 9999]
)
def test_of_what_is_no_object_nothing_is_kept(broken: bytes) -> None:
    written = encode(decode("Tier", b'{"metadata": {"name": "t"}, "spec": {}}'))
    assert carried("Tier", broken, written) is written


@settings(max_examples=50, deadline=None)
@given(any_resource())
def test_where_all_is_known_the_writing_is_as_it_was(resource: Resource) -> None:
    written = encode(with_metadata(resource, labels={"changed": "yes"}))
    assert carried(resource.kind, encode(resource), written) is written


@settings(max_examples=60, deadline=None)
@given(any_resource(), any_resource(), st.data())
def test_written_fields_win_unknown_ones_stay_and_twice_is_once(
    first: Resource, other: Resource, data: st.DataObject
) -> None:
    second = other if other.kind == first.kind else with_metadata(first, annotations={"n": "2"})
    kind = first.kind
    stored = json.dumps(_with_unknown(shape_of(KINDS[kind].type), _plain(first), data)).encode()
    for written in (encode(second), encode(decode(kind, stored))):
        result = carried(kind, stored, written)
        assert decode(kind, result) == decode(kind, written)
        assert carried(kind, stored, result) == result
        assert _unknown(json.loads(stored)).items() <= json.loads(result).items()
    assert _same(json.loads(result), json.loads(stored))


def _plain(resource: Resource) -> Any:
    return msgspec.json.decode(encode(resource))


def _unknown(body: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in body.items() if name.startswith("x-")}


def _with_unknown(shape: inspect.Type, value: Any, data: st.DataObject) -> Any:
    """The same with fields that no type has, in it and in all objects in it."""
    match shape:
        case inspect.Metadata():
            return _with_unknown(shape.type, value, data)
        case inspect.UnionType():
            structs = [each for each in shape.types if not isinstance(each, inspect.NoneType)]
            return _with_unknown(structs[0], value, data) if len(structs) == 1 else value
        case inspect.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in shape.fields}
            known = {
                name: _with_unknown(fields[name], item, data) if name in fields else item
                for name, item in value.items()
            }
            return {**data.draw(UNKNOWN), **known}
        case inspect.VarTupleType() if isinstance(value, list):
            return [_with_unknown(shape.item_type, item, data) for item in value]
    return value


def _same(result: Any, stored: Any) -> bool:
    """Rewritten unchanged, nothing was lost: all that is stored is in the result."""
    if isinstance(stored, dict):
        return isinstance(result, dict) and all(
            name in result and _same(result[name], item) for name, item in stored.items()
        )
    if isinstance(stored, list):
        return len(result) == len(stored) and all(map(_same, result, stored))
    return bool(result == stored)
