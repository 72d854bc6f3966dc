"""NetworkSet and GlobalNetworkSet: outside addresses under labels, for selectors to find."""

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import Fields, TextSet
from tortie.api.meta import Resource
from tortie.api.rules import each, inside, must, unique


class NetworkSetSpec(Fields, frozen=True, kw_only=True):
    """Addresses."""

    nets: TextSet = ()
    """CIDRs or addresses."""


class NetworkSet(Resource, frozen=True, kw_only=True):
    """Addresses under labels, for the policies that look into its namespace."""

    api_version = API_VERSION
    kind = "NetworkSet"

    spec: NetworkSetSpec


class GlobalNetworkSet(Resource, frozen=True, kw_only=True):
    """Addresses under labels, for policies of every namespace that look outside it."""

    api_version = API_VERSION
    kind = "GlobalNetworkSet"

    spec: NetworkSetSpec


RULES = (
    inside(
        "metadata",
        (
            must(
                "labels",
                "a network set can't have the label projectcalico.org/namespace",
                lambda m: "projectcalico.org/namespace" not in m.labels,
            ),
        ),
    ),
    inside("spec", (each("nets", checks.network), unique("nets"))),
)
