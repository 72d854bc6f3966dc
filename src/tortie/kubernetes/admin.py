"""Admin policies of both versions as GlobalNetworkPolicies of tiers of their own."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tortie.api import (
    AdminNetworkPolicy,
    BaselineAdminNetworkPolicy,
    ClusterNetworkPolicy,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    Rule,
)
from tortie.api.calico.rule import Direction
from tortie.api.kube.admin import AdminSubject, NamespacedPods
from tortie.api.kube.selector import LooseSelector
from tortie.kubernetes.admin_rules import convert_rules
from tortie.kubernetes.labels import PODS, ConversionError, namespaces_selector, pods_selector
from tortie.kubernetes.policies import metadata_of

AdminPolicy = AdminNetworkPolicy | BaselineAdminNetworkPolicy | ClusterNetworkPolicy
_TIERS = {"Admin": "kube-admin", "Baseline": "kube-baseline"}
_ALL = "all()"


class Scope(NamedTuple):
    """The pods that a policy applies to; not `exact` where that had to be widened."""

    selector: str
    namespaces: str
    exact: bool


def convert_admin_policy(
    policy: AdminPolicy,
) -> tuple[GlobalNetworkPolicy | None, tuple[str, ...]]:
    """The equivalent policy, and a warning for each part that has none.

    None where there are no rules: such a policy says nothing. It fails closed, as the API asks for:
    a rule that can't be converted is left out if it allows, and denies everything in its direction
    otherwise. Where the choice of pods can't be, it is widened, and only ever denies.
    """
    warnings: list[str] = []
    scope = _scope(policy.spec.subject, warnings)
    ingress = convert_rules("ingress", policy.spec.ingress, warnings)
    egress = convert_rules("egress", policy.spec.egress, warnings)
    said = tuple(f"{_title(policy)}: {warning}" for warning in warnings)
    if not policy.spec.ingress and not policy.spec.egress:
        return None, said
    tier, order = _place(policy)
    spec = GlobalNetworkPolicySpec(
        tier=tier,
        order=order,
        selector=scope.selector,
        namespace_selector=scope.namespaces,
        ingress=ingress if scope.exact else _denying(ingress),
        egress=egress if scope.exact else _denying(egress),
        types=_directions(policy),
    )
    return GlobalNetworkPolicy(metadata=metadata_of(policy.metadata), spec=spec), said


def _directions(policy: AdminPolicy) -> tuple[Direction, ...]:
    """A policy says nothing of a direction that it has no rules for."""
    both: tuple[tuple[Direction, object], ...] = (
        ("Ingress", policy.spec.ingress),
        ("Egress", policy.spec.egress),
    )
    return tuple(direction for direction, rules in both if rules)


def _place(policy: AdminPolicy) -> tuple[str, float | None]:
    """The tier, and the order within."""
    match policy:
        case AdminNetworkPolicy():
            return "adminnetworkpolicy", float(policy.spec.priority)
        case BaselineAdminNetworkPolicy():
            return "baselineadminnetworkpolicy", None  # there is one, so any order will do
    return _TIERS[policy.spec.tier], float(policy.spec.priority)


def _title(policy: AdminPolicy) -> str:
    return f"{type(policy).__name__} {policy.metadata.name}"


def _scope(subject: AdminSubject, warnings: list[str]) -> Scope:
    """What of it can't be read counts as "all": a narrower choice would leave pods open."""
    if (subject.namespaces is None) == (subject.pods is None):
        warnings.append(
            "subject: needs exactly one of namespaces and pods; only what the policy denies is "
            "in force, for all pods"
        )
        return Scope(PODS, _ALL, exact=False)
    pods = subject.pods or NamespacedPods(
        namespace_selector=subject.namespaces, pod_selector=LooseSelector()
    )
    before = len(warnings)
    namespaces, selector = _ALL, PODS
    try:
        namespaces = namespaces_selector(pods.namespace_selector or LooseSelector())
    except ConversionError as error:
        warnings.append(_widened(error, "namespaces"))
    try:
        selector = pods_selector(pods.pod_selector)
    except ConversionError as error:
        warnings.append(_widened(error, "pods of its namespaces"))
    return Scope(selector, namespaces, exact=len(warnings) == before)


def _widened(error: ConversionError, all_of: str) -> str:
    return f"subject: {error}; only what the policy denies is in force, for all {all_of}"


def _denying(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Rules that take away as much for pods that they are for, and give none to others.

    Pass becomes Deny: without it a later rule of the tier could allow what another tier denies.
    """
    return tuple(replace(rule, action="Deny") for rule in rules if rule.action != "Allow")
