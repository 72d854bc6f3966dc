"""Tier: policies that are asked together, one tier after another."""

from typing import Literal

from tortie.api.calico import API_VERSION
from tortie.api.calico.conditions import ConditionsStatus
from tortie.api.fields import Fields
from tortie.api.meta import Resource
from tortie.api.rules import Cel, Validators, must


class TierSpec(Fields, frozen=True, kw_only=True):
    """When the tier is asked, and what it does with what none of its rules matched."""

    order: float | None = None
    """Lower comes first; absent: last. Ties go by name."""
    default_action: Literal["Pass", "Deny"] = "Deny"
    """What becomes of packets of endpoints that a policy of the tier applies to and no rule
    matched."""


class Tier(Resource, frozen=True, kw_only=True):
    """Policies that are asked together, before those of the next tier."""

    api_version = API_VERSION
    kind = "Tier"

    spec: TierSpec
    status: ConditionsStatus | None = None


def _fixed(name: str) -> Validators[Tier]:
    order, action = FIXED[name].order, FIXED[name].default_action
    return (
        must(
            "spec",
            f"The '{name}' tier must have default action '{action}'",
            lambda t: t.metadata.name != name or t.spec.default_action == action,
            cel=Cel(
                f"self.metadata.name == '{name}' ? "
                f"(has(self.spec.defaultAction) && self.spec.defaultAction == '{action}') : true"
            ),
        ),
        must(
            "spec",
            f"{name} tier order must be {order:.0f}",
            lambda t: t.metadata.name != name or t.spec.order == order,
            cel=Cel(
                f"self.metadata.name != '{name}' || "
                f"(has(self.spec.order) && self.spec.order == {order:.1f})"
            ),
        ),
    )


FIXED = {
    "kube-admin": TierSpec(order=1_000, default_action="Pass"),
    "default": TierSpec(order=1_000_000, default_action="Deny"),
    "kube-baseline": TierSpec(order=10_000_000, default_action="Pass"),
}
"""The tiers that are always there, stored or not, and can't be changed or deleted."""

RULES = (
    *_fixed("default"),
    *_fixed("kube-admin"),
    *_fixed("kube-baseline"),
)
