"""Profile: rules asked after all tiers, and labels, for the endpoints that name it."""

from msgspec import field

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.rule import Rules
from tortie.api.calico.rule_rules import EGRESS_RULES, INGRESS_RULES
from tortie.api.fields import Fields
from tortie.api.meta import Resource
from tortie.api.rules import inside, items, pairs


class ProfileSpec(Fields, frozen=True, kw_only=True):
    """Rules and labels."""

    ingress: Rules = ()
    """The rules for packets to the endpoints."""
    egress: Rules = ()
    """The rules for packets from the endpoints."""
    labels_to_apply: dict[str, str] = field(default_factory=dict)
    """Labels that the endpoints get beside their own."""


class Profile(Resource, frozen=True, kw_only=True):
    """Rules asked after all tiers, and labels, for the endpoints that name it."""

    api_version = API_VERSION
    kind = "Profile"

    spec: ProfileSpec


RULES = (
    inside(
        "spec",
        (
            items("ingress", INGRESS_RULES),
            items("egress", EGRESS_RULES),
            pairs("labels_to_apply", checks.qualified_name, checks.label_value),
        ),
    ),
)
