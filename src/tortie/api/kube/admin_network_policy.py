"""AdminNetworkPolicy (`policy.networking.k8s.io/v1alpha1`): what admins decide before anyone."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from tortie.api.fields import Fields, Port, Unused
from tortie.api.kube.admin import (
    DOMAIN_RULES,
    PODS_RULES,
    RANGE_RULES,
    AdminIngressPeer,
    AdminSubject,
    NamedEgressPeer,
    NamespacedPods,
    NumberRange,
    Priority,
    RuleName,
    egress_peer_rules,
    exactly_one,
    has_no_port_names,
    subject_rules,
)
from tortie.api.meta import Resource
from tortie.api.problems import nearest
from tortie.api.rules import Validators, inside, items, must, present

PROTOCOLS = ("TCP", "UDP", "SCTP")


class AdminPortNumber(Fields, frozen=True, kw_only=True):
    """One port of one protocol."""

    protocol: str = "TCP"
    """TCP, UDP or SCTP."""
    port: Port
    """The port."""


class AdminPortRange(NumberRange, frozen=True, kw_only=True):
    """Ports of one protocol from one to another, both included."""

    protocol: str = "TCP"
    """TCP, UDP or SCTP."""


class AdminPort(Fields, frozen=True, kw_only=True):
    """Ports of packets' destinations; exactly one field is set."""

    port_number: AdminPortNumber | None = None
    """One port."""
    port_range: AdminPortRange | None = None
    """Several."""
    named_port: str = ""
    """The port that a pod's container gives this name, of whatever protocol."""


Ports = Annotated[tuple[AdminPort, ...], Meta(min_length=1, max_length=100)]
Sources = Annotated[tuple[AdminIngressPeer, ...], Meta(min_length=1, max_length=100)]


class AdminIngressRule(Fields, frozen=True, kw_only=True):
    """What is done with packets to the pods from one of the peers to one of the ports."""

    name: RuleName = ""
    """What people call the rule."""
    action: Literal["Allow", "Deny", "Pass"]
    """Pass skips the other AdminNetworkPolicies and leaves it to NetworkPolicies."""
    from_: Sources
    """Who sends; one must match."""
    ports: Ports = ()
    """The pods' ports. Absent: every port of every protocol."""


class AdminEgressRule(Fields, frozen=True, kw_only=True):
    """What is done with packets from the pods to one of the peers and one of the ports."""

    name: RuleName = ""
    """What people call the rule."""
    action: Literal["Allow", "Deny", "Pass"]
    """Pass skips the other AdminNetworkPolicies and leaves it to NetworkPolicies."""
    to: Annotated[tuple[NamedEgressPeer, ...], Meta(min_length=1, max_length=100)]
    """Who receives; one must match."""
    ports: Ports = ()
    """The peers' ports. Absent: every port of every protocol."""


class AdminNetworkPolicySpec(Fields, frozen=True, kw_only=True):
    """Which pods, how early, and what they may receive and send."""

    priority: Priority
    """0 to 1000; lower comes first."""
    subject: AdminSubject
    """The pods."""
    ingress: Annotated[tuple[AdminIngressRule, ...], Meta(max_length=100)] = ()
    """What may come in, asked in order. Empty: says nothing of what comes in."""
    egress: Annotated[tuple[AdminEgressRule, ...], Meta(max_length=100)] = ()
    """What may go out, asked in order. Empty: says nothing of what goes out."""


class AdminNetworkPolicy(Resource, frozen=True, kw_only=True):
    """What admins decide of pods before NetworkPolicies are asked."""

    api_version = "policy.networking.k8s.io/v1alpha1"
    kind = "KubernetesAdminNetworkPolicy"

    spec: AdminNetworkPolicySpec
    status: Unused = None


def _protocol(name: str) -> None:
    if name not in PROTOCOLS:
        hint = nearest(name, PROTOCOLS)
        raise ValueError(f"{name!r} is not one of {', '.join(PROTOCOLS)}{hint and f'; {hint}'}")


def _names_a_port(rule: Any) -> bool:
    return any(port.named_port for port in rule.ports)


NAMESPACED_PODS_RULES: Validators[NamespacedPods] = (
    must("namespace_selector", "is required", lambda pods: pods.namespace_selector is not None),
    *PODS_RULES,
)
SUBJECT_RULES = subject_rules(NAMESPACED_PODS_RULES)

PORT_RULES: Validators[AdminPort] = (
    exactly_one("portNumber", "portRange", "namedPort"),
    inside("port_number", (present("protocol", _protocol),)),
    inside("port_range", (present("protocol", _protocol), *RANGE_RULES)),
)

INGRESS_RULES: Validators[Any] = (
    items("from_", SUBJECT_RULES),
    items("ports", PORT_RULES),
)

EGRESS_RULES: Validators[Any] = (
    items("ports", PORT_RULES),
    must(
        "to",
        "networks, nodes and domain names have no named ports",
        lambda rule: not (_names_a_port(rule) and any(map(has_no_port_names, rule.to))),
    ),
)

PEER_RULES: Validators[Any] = (
    *egress_peer_rules(NAMESPACED_PODS_RULES, "domainNames"),
    *DOMAIN_RULES,
)

RULES = (
    inside(
        "spec",
        (
            inside("subject", SUBJECT_RULES),
            items("ingress", INGRESS_RULES),
            items("egress", (items("to", PEER_RULES), *EGRESS_RULES)),
        ),
    ),
)
