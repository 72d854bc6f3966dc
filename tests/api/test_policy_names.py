"""Which names mean one policy: those of the tier "default", with and without its prefix."""

import pytest

from tortie.api import (
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Key,
    NetworkPolicy,
    NetworkPolicySpec,
    ObjectMeta,
)
from tortie.api.policy_names import has_two_names, names_in_use, other_key


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("web", "default.web"),
        ("default.web", "web"),
        ("default", "default.default"),
        ("default.default", "default"),
        ("security.web", None),
        ("default.a.b", None),
        ("knp.default.web", None),
        ("default.", None),
        ("", None),
    ],
)
def test_only_the_prefix_of_the_default_tier_may_be_there_or_not(name, other):
    for kind in ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy"):
        found = other_key(Key(kind, "shop", name))
        assert found == (None if other is None else Key(kind, "shop", other))
        assert found is None or other_key(found) == Key(kind, "shop", name)


@pytest.mark.parametrize("kind", ["Pod", "KubernetesNetworkPolicy", "Tier", "GlobalNetworkSet"])
def test_other_kinds_have_one_name(kind):
    assert other_key(Key(kind, "", "web")) is None


def policy(name, tier="default"):
    return NetworkPolicy(
        metadata=ObjectMeta(name=name, namespace="n"), spec=NetworkPolicySpec(tier=tier)
    )


def test_policies_of_other_tiers_have_one_name():
    assert has_two_names(policy("web"))
    assert has_two_names(policy("web", tier=""))
    assert not has_two_names(policy("web", tier="security"))
    assert has_two_names(GlobalNetworkPolicy(spec=GlobalNetworkPolicySpec()))


@pytest.mark.parametrize(
    ("asked", "stored", "found"),
    [
        ("web", [policy("default.web")], "default.web"),
        ("default.web", [policy("web")], "web"),
        ("web", [policy("web"), policy("default.web")], "web"),
        ("default.web", [policy("web"), policy("default.web")], "default.web"),
        ("web", [policy("default.web", tier="security")], "web"),
        ("web", [policy("security.web", tier="security")], "web"),
        ("web", [], "web"),
    ],
)
def test_a_name_is_the_exact_one_where_there_is_one(asked, stored, found):
    assert names_in_use([asked], stored) == (found,)
