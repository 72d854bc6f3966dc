"""Objects survive every form that they are kept in."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.resources import POLICIES, resources
from tortie.api import KINDS, decode, encode, to_manifest
from tortie.api.codec import drop_nulls
from tortie.api.documents import Document, read_documents
from tortie.api.manifests import read_manifests
from tortie.api.structure import faults
from tortie.api.validation import apply_defaults, validate
from tortie.api.writing import to_yaml


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_object_survives_yaml_and_json(kind, data):
    resource = data.draw(resources(kind))
    (document,) = read_documents(to_yaml([resource]))
    assert isinstance(document, Document)
    body = {key: value for key, value in document.data.items() if key not in ("apiVersion", "kind")}
    assert list(faults(KINDS[kind].type, body)) == []
    again = msgspec.convert(drop_nulls(body), KINDS[kind].type)
    assert again == resource
    assert decode(kind, encode(again)) == resource


@settings(max_examples=60, deadline=None)
@given(st.lists(POLICIES, max_size=4, unique_by=lambda policy: policy.key))
def test_valid_policies_are_read_back_as_they_were_written(policies):
    policies = [apply_defaults(policy) for policy in policies]
    found = read_manifests("p.yaml", to_yaml(policies))
    assert found.errors == ()
    assert [located.resource for located in found.resources] == policies


@given(POLICIES)
def test_defaults_are_settled_once(policy):
    once = apply_defaults(policy)
    assert apply_defaults(once) == once
    assert validate(once) == ()


@pytest.mark.parametrize("text", ["yes", "1e3", "0x1F", "010", "null", "~", "", "n", "1_0", ".inf"])
def test_text_that_looks_like_something_else_stays_text(text):
    kind = KINDS["Namespace"]
    resource = msgspec.convert({"metadata": {"name": "a", "annotations": {"k": text}}}, kind.type)
    (document,) = read_documents(to_yaml([resource]))
    assert document.data == to_manifest(resource)
