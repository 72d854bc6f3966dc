"""Help for fields: whatever is enforced is said."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.api import KINDS, UnknownKind
from tortie.api.explain import UnknownField, explain


def test_a_field_says_its_type_bounds_and_rules():
    found = explain("IPPool.spec.blockSize")
    assert (found.kind.name, found.path) == ("IPPool", "spec.blockSize")
    assert found.help.type == "integer"
    assert found.help.bounds == ("0 to 128",)
    assert found.help.description.startswith("Prefix length")
    assert "Block size cannot be changed" in found.help.rules[0]
    assert not found.help.required


def test_a_default_and_choices_are_told():
    found = explain("tier.spec.defaultAction").help
    assert found.default == "Deny"
    assert set(found.choices) == {"Deny", "Pass"}
    assert explain("ippool.spec.cidr").help.required


def test_zero_is_a_default_as_well():
    assert explain("ipamconfig.spec.strictAffinity").help.default is False
    assert explain("ipamconfig.spec.ipCooldownSeconds").help.default is None


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("gnp.spec.ingress", "[]object"),
        ("gnp.spec.ingress.protocol", "integer or string"),
        ("gnp.spec.ingress[].source.ports", "[]integer or string"),
        ("gnp.spec.ingress[0].source.nets", "[]string"),
        ("ipamhandle.spec.block", "map[string]integer"),
        ("pod.spec.volumes", "anything"),
    ],
)
def test_types_are_written_as_in_kubectl(path, type_):
    assert explain(path).help.type == type_


def test_bounds_of_items_are_those_of_their_list():
    assert explain("bgpfilter.spec.exportV4.communities.values").help.bounds[:2] == (
        "at least 1 item",
        "at most 1 item",
    )
    assert "a CIDR" in explain("ipreservation.spec.reservedCIDRs").help.bounds


@pytest.mark.parametrize(
    "path", ["networkpolicies.projectcalico.org.spec", "cnp.SPEC", "np.spec", "NetworkPolicy.spec"]
)
def test_kinds_and_fields_have_all_their_names(path):
    found = explain(path)
    assert (found.kind.name, found.path) == ("NetworkPolicy", "spec")


def test_a_misspelt_field_gets_the_nearest_name():
    with pytest.raises(UnknownField, match=r'IPPool\.spec has no .*; did you mean "blockSize"'):
        explain("ippool.spec.blocksiz")
    with pytest.raises(UnknownField, match="known are apiVersion, kind, metadata, spec"):
        explain("gnp.foo")
    with pytest.raises(UnknownField, match="has no fields"):
        explain("ippool.spec.cidr.first")


def test_a_misspelt_kind_gets_the_nearest_name():
    with pytest.raises(UnknownKind, match="did you mean ippool"):
        explain("ippol.spec")


@given(st.text(st.sampled_from("ip.[]spec0 N"), max_size=20) | st.text(max_size=20))
def test_any_text_gets_help_or_an_error_for_people(text):
    with suppress(UnknownKind, UnknownField):
        assert explain(text).kind in KINDS.values()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_explained(kind):
    about = explain(kind).help
    assert about.description
    assert {child.name for child in about.children} >= {"apiVersion", "kind", "metadata"}
