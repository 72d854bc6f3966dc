"""BaselineAdminNetworkPolicy (`policy.networking.k8s.io/v1alpha1`): what holds by default."""

from typing import Annotated, Literal

from msgspec import Meta

from tortie.api.fields import Fields, Unused
from tortie.api.kube.admin import AdminEgressPeer, AdminSubject, RuleName, egress_peer_rules
from tortie.api.kube.admin_network_policy import (
    EGRESS_RULES,
    INGRESS_RULES,
    NAMESPACED_PODS_RULES,
    SUBJECT_RULES,
    Ports,
    Sources,
)
from tortie.api.meta import Resource
from tortie.api.rules import inside, items, must

NAME = "default"


class BaselineIngressRule(Fields, frozen=True, kw_only=True):
    """What is done with packets to the pods from one of the peers to one of the ports."""

    name: RuleName = ""
    """What people call the rule."""
    action: Literal["Allow", "Deny"]
    """What is done."""
    from_: Sources
    """Who sends; one must match."""
    ports: Ports = ()
    """The pods' ports. Absent: every port of every protocol."""


class BaselineEgressRule(Fields, frozen=True, kw_only=True):
    """What is done with packets from the pods to one of the peers and one of the ports."""

    name: RuleName = ""
    """What people call the rule."""
    action: Literal["Allow", "Deny"]
    """What is done."""
    to: Annotated[tuple[AdminEgressPeer, ...], Meta(min_length=1, max_length=100)]
    """Who receives; one must match."""
    ports: Ports = ()
    """The peers' ports. Absent: every port of every protocol."""


class BaselineAdminNetworkPolicySpec(Fields, frozen=True, kw_only=True):
    """Which pods, and what they may receive and send."""

    subject: AdminSubject
    """The pods."""
    ingress: Annotated[tuple[BaselineIngressRule, ...], Meta(max_length=100)] = ()
    """What may come in, asked in order. Empty: says nothing of what comes in."""
    egress: Annotated[tuple[BaselineEgressRule, ...], Meta(max_length=100)] = ()
    """What may go out, asked in order. Empty: says nothing of what goes out."""


class BaselineAdminNetworkPolicy(Resource, frozen=True, kw_only=True):
    """What admins decide of pods that no NetworkPolicy selects; a cluster has one, "default"."""

    api_version = "policy.networking.k8s.io/v1alpha1"
    kind = "KubernetesBaselineAdminNetworkPolicy"

    spec: BaselineAdminNetworkPolicySpec
    status: Unused = None


RULES = (
    inside(
        "metadata",
        (must("name", f'a cluster has one, and its name is "{NAME}"', lambda m: m.name == NAME),),
    ),
    inside(
        "spec",
        (
            inside("subject", SUBJECT_RULES),
            items("ingress", INGRESS_RULES),
            items(
                "egress",
                (items("to", egress_peer_rules(NAMESPACED_PODS_RULES)), *EGRESS_RULES),
            ),
        ),
    ),
)
