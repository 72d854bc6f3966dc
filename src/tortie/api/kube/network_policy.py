"""Kubernetes' NetworkPolicy (`networking.k8s.io/v1`)."""

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from tortie.api import checks
from tortie.api.fields import UNLISTED, Fields, Int32, IntOrText, Unset, Unused
from tortie.api.kube.selector import SELECTOR_RULES, LabelSelector
from tortie.api.meta import Resource
from tortie.api.rules import (
    Validators,
    each,
    inside,
    items,
    must,
    number_or_text,
    present,
    unique,
)


class IPBlock(Fields, frozen=True, kw_only=True):
    """Addresses of a CIDR, except some."""

    cidr: str
    """The addresses."""
    except_: tuple[str, ...] = ()
    """CIDRs inside `cidr` that are left out."""


class NetworkPolicyPeer(Fields, frozen=True, kw_only=True):
    """Who may be at the other end: an `ip_block`, or pods by their and their namespace's labels."""

    pod_selector: LabelSelector | None = None
    """The pods. Absent: all pods of the namespaces."""
    namespace_selector: LabelSelector | None = None
    """Their namespaces. Absent: the policy's own."""
    ip_block: IPBlock | None = None
    """Addresses; the other fields must be absent then."""


class NetworkPolicyPort(Fields, frozen=True, kw_only=True):
    """A port, or a range of ports, of one protocol."""

    protocol: Annotated[Literal["TCP", "UDP", "SCTP"] | Unset, UNLISTED] = ""
    """TCP, UDP or SCTP. Absent: TCP."""
    port: Annotated[IntOrText | None, Meta(extra_json_schema={"pattern": None})] = None
    """A number or the name of a container's port. Absent: every port."""
    end_port: Int32 | None = None
    """The last port of a range that begins with `port`."""


class IngressRule(Fields, frozen=True, kw_only=True):
    """Lets in what comes from one of the peers to one of the ports."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    """The pods' ports. Empty: every port."""
    from_: tuple[NetworkPolicyPeer, ...] = ()
    """Who sends. Empty: everybody."""


class EgressRule(Fields, frozen=True, kw_only=True):
    """Lets out what goes to one of the peers and one of the ports."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    """The peers' ports. Empty: every port."""
    to: tuple[NetworkPolicyPeer, ...] = ()
    """Who receives. Empty: everybody."""


PolicyType = Literal["Ingress", "Egress"]
PolicyTypes = Annotated[
    tuple[PolicyType, ...],
    Meta(max_length=2, extra_json_schema={"x-kubernetes-list-type": "set"}),
]


class KubernetesNetworkPolicySpec(Fields, frozen=True, kw_only=True):
    """Pods, and what they may receive and send."""

    pod_selector: LabelSelector = LabelSelector()
    """The pods it applies to. Empty: all of the namespace."""
    ingress: tuple[IngressRule, ...] = ()
    """What may come in, one rule or another. Empty: nothing, where the policy applies to
    ingress."""
    egress: tuple[EgressRule, ...] = ()
    """What may go out, one rule or another. Empty: nothing, where the policy applies to egress."""
    policy_types: PolicyTypes = ()
    """The directions it applies to. Absent: Ingress, and Egress where there are egress rules."""

    @property
    def directions(self) -> tuple[PolicyType, ...]:
        """`policy_types`, with its default worked out."""
        if self.policy_types:
            return self.policy_types
        return ("Ingress", "Egress") if self.egress else ("Ingress",)


class KubernetesNetworkPolicy(Resource, frozen=True, kw_only=True):
    """Kubernetes' NetworkPolicy: what the pods of a namespace may receive and send."""

    api_version = "networking.k8s.io/v1"
    kind = "KubernetesNetworkPolicy"

    spec: KubernetesNetworkPolicySpec = KubernetesNetworkPolicySpec()
    status: Unused = None


def _ports_in_order(port: NetworkPolicyPort) -> bool:
    if port.end_port is None:
        return True
    return isinstance(port.port, int) and port.port <= port.end_port <= 65535


def _is_inside(block: IPBlock) -> bool:
    """Every exception is a part of the CIDR and less than all of it."""
    try:
        outer = checks.cidr(block.cidr).network
        inner = [checks.cidr(net).network for net in block.except_]
    except ValueError:
        return True  # another rule says so
    return all(outer.contains(net) and outer != net for net in inner)


PORT_RULES: Validators[NetworkPolicyPort] = (
    number_or_text("port", checks.single_port),
    must("end_port", "endPort needs a port that is a number and not above it", _ports_in_order),
)

PEER_RULES: Validators[NetworkPolicyPeer] = (
    inside("pod_selector", SELECTOR_RULES),
    inside("namespace_selector", SELECTOR_RULES),
    inside(
        "ip_block",
        (
            present("cidr", checks.cidr),
            each("except_", checks.cidr),
            must("except_", "each must be a part of cidr, and less than all of it", _is_inside),
        ),
    ),
    must(
        "",
        "needs a podSelector, a namespaceSelector or an ipBlock",
        lambda p: p.pod_selector or p.namespace_selector or p.ip_block,
    ),
    must(
        "ip_block",
        "an ipBlock can't be combined with selectors",
        lambda p: not p.ip_block or not (p.pod_selector or p.namespace_selector),
    ),
)

SPEC_RULES = (
    inside("pod_selector", SELECTOR_RULES),
    items("ingress", (items("ports", PORT_RULES), items("from_", PEER_RULES))),
    items("egress", (items("ports", PORT_RULES), items("to", PEER_RULES))),
    unique("policy_types"),
)

RULES = (inside("spec", SPEC_RULES),)


def with_defaults(policy: KubernetesNetworkPolicy) -> KubernetesNetworkPolicy:
    """Policy types as the rules imply."""
    return replace(policy, spec=replace(policy.spec, policy_types=policy.spec.directions))
