"""Staged policies: what a policy would do is told, and nothing is enforced."""

from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta
from msgspec.structs import replace

from tortie.api.calico import API_VERSION, global_network_policy, network_policy
from tortie.api.calico.global_network_policy import GlobalNetworkPolicySpec
from tortie.api.calico.network_policy import NetworkPolicySpec, tier_labelled, typed
from tortie.api.fields import UNLISTED, Fields
from tortie.api.kube.network_policy import SPEC_RULES as KUBERNETES_SPEC_RULES
from tortie.api.kube.network_policy import EgressRule, IngressRule, PolicyType
from tortie.api.kube.selector import LabelSelector
from tortie.api.meta import Resource
from tortie.api.problems import Violation
from tortie.api.rules import Validator, Validators, Where, inside, path_to

StagedAction = Literal["Set", "Delete", "Learn", "Ignore"]
"""What the enforced policy of the same name will become: this, gone, what was learned, the same."""


StagedPolicyTypes = Annotated[
    tuple[Annotated[PolicyType, UNLISTED], ...],
    Meta(min_length=1, max_length=2, extra_json_schema={"x-kubernetes-list-type": "set"}),
]


class StagedNetworkPolicySpec(NetworkPolicySpec, frozen=True, kw_only=True):
    """As for a NetworkPolicy."""

    staged_action: StagedAction = "Set"
    """What the enforced policy of the same name is to become: this (Set), gone (Delete), what
    was learned, or the same (Ignore)."""


class StagedNetworkPolicy(Resource, frozen=True, kw_only=True):
    """What a NetworkPolicy would do."""

    api_version = API_VERSION
    kind = "StagedNetworkPolicy"

    spec: StagedNetworkPolicySpec


class StagedGlobalNetworkPolicySpec(GlobalNetworkPolicySpec, frozen=True, kw_only=True):
    """As for a GlobalNetworkPolicy."""

    staged_action: StagedAction = "Set"
    """What the enforced policy of the same name is to become: this (Set), gone (Delete), what
    was learned, or the same (Ignore)."""


class StagedGlobalNetworkPolicy(Resource, frozen=True, kw_only=True):
    """What a GlobalNetworkPolicy would do."""

    api_version = API_VERSION
    kind = "StagedGlobalNetworkPolicy"

    spec: StagedGlobalNetworkPolicySpec


class StagedKubernetesNetworkPolicySpec(Fields, frozen=True, kw_only=True):
    """As for Kubernetes' NetworkPolicy."""

    pod_selector: LabelSelector = LabelSelector()
    """The pods it applies to. Empty: all of the namespace."""
    ingress: tuple[IngressRule, ...] = ()
    """What may come in, one rule or another. Empty: nothing, where the policy applies to
    ingress."""
    egress: tuple[EgressRule, ...] = ()
    """What may go out, one rule or another. Empty: nothing, where the policy applies to egress."""
    policy_types: StagedPolicyTypes = ()
    """The directions it applies to. Absent: Ingress, and Egress where there are egress rules."""
    staged_action: StagedAction = "Set"
    """What the enforced policy of the same name is to become: this (Set), gone (Delete), what
    was learned, or the same (Ignore)."""

    @property
    def directions(self) -> tuple[PolicyType, ...]:
        """`policy_types`, with its default worked out."""
        if self.policy_types:
            return self.policy_types
        return ("Ingress", "Egress") if self.egress else ("Ingress",)


class StagedKubernetesNetworkPolicy(Resource, frozen=True, kw_only=True):
    """What Kubernetes' NetworkPolicy would do."""

    api_version = API_VERSION
    kind = "StagedKubernetesNetworkPolicy"

    spec: StagedKubernetesNetworkPolicySpec


_SAYS_DELETE = frozenset({"staged_action", "tier"})


def _only_delete(spec: Any, where: Where | None, found: list[Violation]) -> None:
    """A policy that is to go has no content of its own."""
    empty = type(spec)()
    for field in spec.__struct_fields__:
        value = getattr(spec, field)
        if field not in _SAYS_DELETE and value != getattr(empty, field):
            message = "with stagedAction Delete every field but tier must be empty"
            found.append(Violation(path_to(spec, field, where), message, value, "leave it out"))


DELETE_RULES: Validators[Any] = (
    Validator(lambda spec: spec.staged_action == "Delete", True, _only_delete),
)

STAGED_RULES = (inside("spec", (*network_policy.SPEC_RULES, *DELETE_RULES)),)
STAGED_GLOBAL_RULES = (inside("spec", (*global_network_policy.SPEC_RULES, *DELETE_RULES)),)
STAGED_KUBERNETES_RULES = (inside("spec", (*KUBERNETES_SPEC_RULES, *DELETE_RULES)),)

P = TypeVar("P", StagedNetworkPolicy, StagedGlobalNetworkPolicy)


def with_defaults(policy: P) -> P:
    """Types as the rules imply, and the label that tells the tier."""
    spec = policy.spec if policy.spec.staged_action == "Delete" else typed(policy.spec)
    metadata = tier_labelled(policy.metadata, policy.spec.tier)
    return replace(policy, metadata=metadata, spec=spec)


def with_policy_types(policy: StagedKubernetesNetworkPolicy) -> StagedKubernetesNetworkPolicy:
    """Policy types as the rules imply."""
    if policy.spec.staged_action == "Delete":
        return policy
    return replace(policy, spec=replace(policy.spec, policy_types=policy.spec.directions))
