"""ClusterNetworkPolicy (`policy.networking.k8s.io/v1alpha2`): both admin policies as one kind."""

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
    NumberRange,
    Priority,
    RuleName,
    egress_peer_rules,
    exactly_one,
    has_no_port_names,
    subject_rules,
)
from tortie.api.meta import Resource
from tortie.api.rules import Validators, inside, items, must


class DestinationPort(Fields, frozen=True, kw_only=True):
    """Ports of packets' destinations; exactly one field is set."""

    number: Port | None = None
    """One port."""
    range: NumberRange | None = None
    """Several."""


class PortMatch(Fields, frozen=True, kw_only=True):
    """What packets of one protocol must be."""

    destination_port: DestinationPort | None = None
    """Their destination's port; required, as there is nothing else yet."""


class ProtocolMatch(Fields, frozen=True, kw_only=True):
    """A protocol, and what its packets must be; exactly one field is set."""

    tcp: PortMatch | None = None
    """TCP."""
    udp: PortMatch | None = None
    """UDP."""
    sctp: PortMatch | None = None
    """SCTP."""
    destination_named_port: str = ""
    """The port that a pod's container gives this name, of whatever protocol."""


Action = Literal["Accept", "Deny", "Pass"]
Protocols = Annotated[tuple[ProtocolMatch, ...], Meta(min_length=1, max_length=25)]


class ClusterIngressRule(Fields, frozen=True, kw_only=True):
    """What is done with packets to the pods from one of the peers by one of the protocols."""

    name: RuleName = ""
    """What people call the rule."""
    action: Action
    """Pass skips the rest of the tier."""
    from_: Annotated[tuple[AdminIngressPeer, ...], Meta(min_length=1, max_length=25)]
    """Who sends; one must match."""
    protocols: Protocols = ()
    """Protocols and ports; one must match. Absent: every one."""


class ClusterEgressRule(Fields, frozen=True, kw_only=True):
    """What is done with packets from the pods to one of the peers by one of the protocols."""

    name: RuleName = ""
    """What people call the rule."""
    action: Action
    """Pass skips the rest of the tier."""
    to: Annotated[tuple[NamedEgressPeer, ...], Meta(min_length=1, max_length=25)]
    """Who receives; one must match."""
    protocols: Protocols = ()
    """Protocols and ports; one must match. Absent: every one."""


class ClusterNetworkPolicySpec(Fields, frozen=True, kw_only=True):
    """When it is asked, for which pods, and what they may receive and send."""

    tier: Literal["Admin", "Baseline"]
    """Admin: before NetworkPolicies. Baseline: for pods that no NetworkPolicy selects."""
    priority: Priority
    """0 to 1000; lower comes first within the tier."""
    subject: AdminSubject
    """The pods."""
    ingress: Annotated[tuple[ClusterIngressRule, ...], Meta(max_length=25)] = ()
    """What may come in, asked in order. Empty: says nothing of what comes in."""
    egress: Annotated[tuple[ClusterEgressRule, ...], Meta(max_length=25)] = ()
    """What may go out, asked in order. Empty: says nothing of what goes out."""


class ClusterNetworkPolicy(Resource, frozen=True, kw_only=True):
    """What admins decide of pods, before NetworkPolicies or where there are none."""

    api_version = "policy.networking.k8s.io/v1alpha2"
    kind = "KubernetesClusterNetworkPolicy"

    spec: ClusterNetworkPolicySpec
    status: Unused = None


def _ports_have_names(rule: ClusterEgressRule) -> bool:
    named = any(protocol.destination_named_port for protocol in rule.protocols)
    return not (named and any(map(has_no_port_names, rule.to)))


PORT_RULES: Validators[PortMatch] = (
    must("", "needs a destinationPort", lambda match: match.destination_port),
    inside("destination_port", (exactly_one("number", "range"), inside("range", RANGE_RULES))),
)

PROTOCOL_RULES: Validators[ProtocolMatch] = (
    exactly_one("tcp", "udp", "sctp", "destinationNamedPort"),
    inside("tcp", PORT_RULES),
    inside("udp", PORT_RULES),
    inside("sctp", PORT_RULES),
)

SUBJECT_RULES = subject_rules(PODS_RULES)
PEER_RULES: Validators[Any] = (*egress_peer_rules(PODS_RULES, "domainNames"), *DOMAIN_RULES)

RULES = (
    inside(
        "spec",
        (
            inside("subject", SUBJECT_RULES),
            items("ingress", (items("from_", SUBJECT_RULES), items("protocols", PROTOCOL_RULES))),
            items(
                "egress",
                (
                    items("to", PEER_RULES),
                    items("protocols", PROTOCOL_RULES),
                    must(
                        "to",
                        "networks, nodes and domain names have no named ports",
                        _ports_have_names,
                    ),
                ),
            ),
        ),
    ),
)
