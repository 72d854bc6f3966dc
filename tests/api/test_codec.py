"""Resources as bytes: what datastores keep, whoever wrote it."""

import json

import pytest

from tortie.api import (
    DecodeError,
    Key,
    NetworkPolicy,
    NetworkPolicySpec,
    ObjectMeta,
    decode,
    encode,
    with_metadata,
)

POLICY = NetworkPolicy(
    metadata=ObjectMeta(name="a", namespace="b"), spec=NetworkPolicySpec(order=1.5)
)


def test_bytes_say_which_kind_they_are():
    data = json.loads(encode(POLICY))
    assert (data["apiVersion"], data["kind"]) == ("projectcalico.org/v3", "NetworkPolicy")
    assert data["spec"] == {"order": 1.5}


def test_unknown_fields_of_newer_versions_are_passed_over():
    data = json.loads(encode(POLICY))
    data["spec"]["new"] = {"x": 1}
    assert decode("NetworkPolicy", json.dumps(data).encode()) == POLICY


def test_null_is_the_same_as_absent():
    data = json.loads(encode(POLICY))
    data["spec"] |= {"ingress": None, "selector": None, "tier": None}
    data["metadata"]["creationTimestamp"] = None
    assert decode("NetworkPolicy", json.dumps(data).encode()) == POLICY


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b'{"metadata":{"name":"\xf9"}}', "no JSON"),
        (b'{"spec":1,"metadata":{"name":"\xf9"}}', "can't be read"),
        (b"[]", "can't be read"),
        (b'{"metadata":{}}', "`spec`"),
        (b'{"spec":{"order":"x"}}', "$.spec.order"),
        (b'{"spec":{"ingress":[{"action":"allow"}]}}', "$.spec.ingress[0].action"),
        (b'{"spec":' + b'{"x":' * 5000 + b"1" + b"}" * 5001, ""),
    ],
)
def test_what_can_not_be_read_says_why(data, said):
    with pytest.raises(DecodeError) as error:
        decode("NetworkPolicy", data)
    assert said in str(error.value)


def test_metadata_can_be_changed_by_field():
    changed = with_metadata(POLICY, resource_version="7")
    assert changed.metadata.resource_version == "7"
    assert changed.key == POLICY.key == Key("NetworkPolicy", "b", "a")
