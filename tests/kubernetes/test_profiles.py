"""Namespaces and service accounts as Profiles; keys and ids of what stands for objects."""

import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.api import IPPool, IPPoolSpec, Key, Namespace, ServiceAccount
from tortie.api.validation import validate
from tortie.kubernetes import convert, converted_key
from tortie.kubernetes.names import converted_uid

UID = "9b2f3c9e-7a1c-4f0e-9d1e-1234567890ab"


def test_a_namespace_allows_all_and_lends_its_labels():
    data = {"metadata": {"name": "shop", "labels": {"team": "a"}, "uid": UID}}
    profile = convert(msgspec.convert(data, Namespace))
    assert validate(profile) == ()
    assert profile.metadata.name == "kns.shop"
    assert [rule.action for rule in (*profile.spec.ingress, *profile.spec.egress)] == ["Allow"] * 2
    assert profile.spec.labels_to_apply == {
        "pcns.team": "a",
        "pcns.projectcalico.org/name": "shop",
    }
    assert profile.metadata.uid not in ("", UID)


def test_a_service_account_lends_its_labels_and_allows_nothing():
    data = {"metadata": {"name": "till", "namespace": "shop", "labels": {"pay": "yes"}}}
    profile = convert(msgspec.convert(data, ServiceAccount))
    assert validate(profile) == ()
    assert profile.metadata.name == "ksa.shop.till"
    assert profile.spec.ingress == profile.spec.egress == ()
    assert profile.spec.labels_to_apply == {
        "pcsa.pay": "yes",
        "pcsa.projectcalico.org/name": "till",
    }


def test_the_name_label_can_not_be_forged():
    data = {"metadata": {"name": "shop", "labels": {"projectcalico.org/name": "bank"}}}
    profile = convert(msgspec.convert(data, Namespace))
    assert profile.spec.labels_to_apply == {"pcns.projectcalico.org/name": "shop"}


@pytest.mark.parametrize(
    ("key", "converted"),
    [
        (Key("Namespace", "", "a"), Key("Profile", "", "kns.a")),
        (Key("ServiceAccount", "a", "b"), Key("Profile", "", "ksa.a.b")),
        (Key("KubernetesNetworkPolicy", "a", "b"), Key("KubernetesNetworkPolicy", "a", "b")),
        (Key("IPPool", "", "p"), Key("IPPool", "", "p")),
        (Key("Pod", "a", "b"), None),
    ],
)
def test_a_deleted_object_tells_what_else_is_gone(key, converted):
    assert converted_key(key) == converted


def test_calico_resources_stand_for_themselves():
    pool = IPPool(spec=IPPoolSpec(cidr="10.0.0.0/8"))
    assert convert(pool) is pool


@given(st.uuids(version=4))
def test_a_converted_uid_is_another_uuid_that_leads_back(original):
    text = str(original)
    found = uuid.UUID(converted_uid(text))
    assert found.version == 4
    assert found.variant == uuid.RFC_4122
    assert converted_uid(str(found)) == text


def test_what_is_no_uuid_stays():
    assert converted_uid("") == ""
    assert converted_uid("abc") == "abc"
