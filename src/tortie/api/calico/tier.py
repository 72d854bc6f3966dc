"""Tier: policies that are asked together, one tier after another."""

from typing import Literal

from tortie.api.calico import API_VERSION
from tortie.api.calico.conditions import ConditionsStatus
from tortie.api.fields import Fields
from tortie.api.meta import Resource


class TierSpec(Fields, frozen=True, kw_only=True):
    """When the tier is asked, and what it does with what none of its rules matched."""

    order: float | None = None
    """Lower comes first; absent: last. Ties go by name."""
    default_action: Literal["Pass", "Deny"] = "Deny"
    """For packets of endpoints that a policy of the tier applies to and no rule matched."""


class Tier(Resource, frozen=True, kw_only=True):
    """Policies that are asked together, before those of the next tier."""

    api_version = API_VERSION
    kind = "Tier"

    spec: TierSpec
    status: ConditionsStatus | None = None
