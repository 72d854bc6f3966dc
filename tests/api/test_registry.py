"""How kinds are called."""

import pytest

from tortie.api import KINDS, UnknownKind, kind_named, kind_of_manifest


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("gnp", "GlobalNetworkPolicy"),
        ("NetworkPolicies", "NetworkPolicy"),
        ("cnp", "NetworkPolicy"),
        ("netpol", "KubernetesNetworkPolicy"),
        ("networkpolicies.networking.k8s.io", "KubernetesNetworkPolicy"),
        ("networkpolicies.projectcalico.org", "NetworkPolicy"),
        (" ippool ", "IPPool"),
        ("po", "Pod"),
        ("ns", "Namespace"),
        ("wep", "WorkloadEndpoint"),
        ("felixconfig", "FelixConfiguration"),
    ],
)
def test_people_call_kinds_by_many_names(word, kind):
    assert kind_named(word).name == kind


def test_a_name_means_one_kind():
    words = [
        word for kind in KINDS.values() for word in {kind.name.lower(), kind.plural, *kind.aliases}
    ]
    assert len(words) == len(set(words))
    assert all(word == word.lower() for word in words)


@pytest.mark.parametrize(
    ("word", "nearest"), [("ippol", "ippool"), ("networkpolcy", "networkpolicy"), ("pdo", "pod")]
)
def test_an_unknown_name_brings_the_nearest(word, nearest):
    with pytest.raises(UnknownKind) as error:
        kind_named(word)
    assert nearest in error.value.nearest
    assert nearest in str(error.value)


def test_every_kind_is_found_by_its_manifest():
    for kind in KINDS.values():
        assert kind_of_manifest(kind.api_version, kind.manifest_kind) is kind
        assert (kind.type.kind, kind.type.api_version) == (kind.name, kind.api_version)


@pytest.mark.parametrize(
    ("api_version", "kind", "nearest"),
    [
        ("v1", "NetworkPolicy", "networking.k8s.io/v1/NetworkPolicy"),
        ("projectcalico.org/v3", "ippool", "projectcalico.org/v3/IPPool"),
        ("", "Pod", "v1/Pod"),
    ],
)
def test_the_wrong_group_brings_the_right_one(api_version, kind, nearest):
    with pytest.raises(UnknownKind) as error:
        kind_of_manifest(api_version, kind)
    assert nearest in error.value.nearest
