"""NetworkPolicy: rules for the endpoints of one namespace."""

import re
from typing import Any, TypeVar

from msgspec.structs import replace

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.rule import (
    Direction,
    Directions,
    PerformanceHints,
    Rules,
    directions_of,
)
from tortie.api.calico.rule_rules import EGRESS_RULES, INGRESS_RULES, without_global
from tortie.api.fields import Fields, SelectorText
from tortie.api.meta import ObjectMeta, Resource
from tortie.api.rules import Validators, inside, items, text, unique


class NetworkPolicySpec(Fields, frozen=True, kw_only=True):
    """To which endpoints of the namespace it applies, when, and its rules."""

    tier: str = "default"
    """The tier that the policy is part of."""
    order: float | None = None
    """Lower comes first within the tier; absent: last. Ties go by name."""
    ingress: Rules = ()
    """The rules for packets to the endpoints, asked in order."""
    egress: Rules = ()
    """The rules for packets from the endpoints, asked in order."""
    selector: SelectorText = ""
    """The labels of the endpoints it applies to. Absent: all of the namespace."""
    types: Directions = ()
    """The directions it applies to. Absent: Ingress, or what there are rules for."""
    service_account_selector: SelectorText = ""
    """Only endpoints whose service account has these labels."""
    performance_hints: PerformanceHints = ()
    """AssumeNeededOnEveryNode: program it even where no endpoint needs it yet."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """`types`, with its default worked out."""
        return directions_of(self.types, self.ingress, self.egress)


class NetworkPolicy(Resource, frozen=True, kw_only=True):
    """Rules for the endpoints of one namespace."""

    api_version = API_VERSION
    kind = "NetworkPolicy"

    spec: NetworkPolicySpec


S = TypeVar("S", bound=NetworkPolicySpec)
TIER_LABEL = "projectcalico.org/tier"
_MADE_BY_OTHERS = re.compile(r"(knp|ossg)\.default\..+")


def global_policy_name(name: str) -> None:
    """A DNS name of one part, or of two: tier and policy, as policies were named before."""
    try:
        checks.dns_subdomain(name)
    except ValueError as error:
        raise ValueError(str(error).replace("DNS name", "policy name", 1)) from None
    if name.count(".") > 1:
        raise ValueError(
            f"{name!r} is no policy name: at most one '.', between the tier and the policy"
        )


def policy_name(name: str) -> None:
    """As for global policies, or what comes from Kubernetes or OpenStack, of more parts."""
    if _MADE_BY_OTHERS.fullmatch(name):
        checks.dns_subdomain(name)
    else:
        global_policy_name(name)


def selectors_of(*fields: str) -> Validators[Any]:
    """Each field is a selector without global()."""
    return tuple(map(without_global, fields))


SPEC_RULES: Validators[NetworkPolicySpec] = (
    text("tier", checks.dns_label),
    *selectors_of("selector", "service_account_selector"),
    unique("types"),
    unique("performance_hints"),
    items("ingress", INGRESS_RULES),
    items("egress", EGRESS_RULES),
)

RULES = (inside("spec", SPEC_RULES),)


def with_defaults(policy: NetworkPolicy) -> NetworkPolicy:
    """Types as the rules imply, and the label that tells the tier."""
    return replace(
        policy, metadata=tier_labelled(policy.metadata, policy.spec.tier), spec=typed(policy.spec)
    )


def typed(spec: S) -> S:
    """The tier and the types filled in."""
    return replace(spec, tier=spec.tier or "default", types=spec.directions)


def tier_labelled(metadata: ObjectMeta, tier: str) -> ObjectMeta:
    """The label that tells the tier always agrees with the spec, where that is a tier's name."""
    if not checks.is_dns_label(tier or "default"):
        return metadata
    return replace(metadata, labels={**metadata.labels, TIER_LABEL: tier or "default"})
