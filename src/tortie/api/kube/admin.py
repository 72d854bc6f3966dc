"""What the admin policies of both versions share: whom they are for, and who is at the other end.

The API is kubernetes-sigs/network-policy-api. Where "exactly one of" several fields must be set and
none is, an object was written for a newer version; converting it then fails closed.
"""

from typing import Annotated, Any

from msgspec import Meta

from tortie.api import checks
from tortie.api.fields import UNIQUE, Fields, Port, matching
from tortie.api.kube.selector import LOOSE_SELECTOR_RULES, LooseSelector
from tortie.api.rules import Validator, Validators, each, inside, must, unique

NetworkText = Annotated[str, Meta(max_length=43)]
DomainName = Annotated[
    str,
    matching(
        r"^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+"
        r"[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$"
    ),
]
RuleName = Annotated[str, Meta(max_length=100)]
Priority = Annotated[int, Meta(ge=0, le=1000, extra_json_schema={"format": "int32"})]


class NamespacedPods(Fields, frozen=True, kw_only=True):
    """Pods by their and their namespace's labels."""

    namespace_selector: LooseSelector | None = None
    """Their namespaces. Empty or absent: all. v1alpha1 requires it."""
    pod_selector: LooseSelector
    """The pods in these namespaces. Empty: all."""


class AdminSubject(Fields, frozen=True, kw_only=True):
    """The pods that a policy applies to; exactly one field is set.

    Pods that use the node's network are never among them.
    """

    namespaces: LooseSelector | None = None
    """All pods of the namespaces with these labels. Empty: of all namespaces."""
    pods: NamespacedPods | None = None
    """Pods by their own labels, too."""


class AdminIngressPeer(Fields, frozen=True, kw_only=True):
    """Where packets come from; exactly one field is set."""

    namespaces: LooseSelector | None = None
    """All pods of the namespaces with these labels. Empty: of all namespaces."""
    pods: NamespacedPods | None = None
    """Pods by their own labels, too."""


class AdminEgressPeer(AdminIngressPeer, frozen=True, kw_only=True):
    """Where packets go to; exactly one field is set."""

    nodes: LooseSelector | None = None
    """The addresses of the nodes with these labels. Experimental; fails closed here."""
    networks: Annotated[tuple[NetworkText, ...], UNIQUE, Meta(min_length=1, max_length=25)] = ()
    """CIDRs; addresses of pods in them count as well."""


class NamedEgressPeer(AdminEgressPeer, frozen=True, kw_only=True):
    """Where packets go to, by domain name also; exactly one field is set."""

    domain_names: Annotated[tuple[DomainName, ...], UNIQUE, Meta(min_length=1, max_length=25)] = ()
    """Names, "*." before one for all below it. Experimental; fails closed here."""


class NumberRange(Fields, frozen=True, kw_only=True):
    """Ports from one to another, both included."""

    start: Port
    """The first."""
    end: Port
    """The last, above `start`."""


def exactly_one(*names: str) -> Validator[Any]:
    """One of these fields is set, by the API's names; () and "" count as absent."""
    choices = " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))

    def holds(value: Any) -> bool:
        fields = value.__struct_fields__
        return sum(getattr(value, field) not in (None, (), "") for field in fields) == 1

    return must("", f"needs exactly one of {choices}", holds)


def _network(text: str) -> None:
    if ":" in text and "." in text:
        raise ValueError(f"{text!r}: write an IPv4 address inside IPv6 with hexadecimal digits")
    checks.cidr(text)


def subject_rules(pods: Validators[NamespacedPods]) -> Validators[AdminSubject]:
    """The rules of a subject whose `pods` keep these."""
    return (
        exactly_one("namespaces", "pods"),
        inside("namespaces", LOOSE_SELECTOR_RULES),
        inside("pods", pods),
    )


def egress_peer_rules(pods: Validators[NamespacedPods], *more: str) -> Validators[AdminEgressPeer]:
    """The rules of a destination whose `pods` keep these; `more` are further fields' names."""
    return (
        exactly_one("namespaces", "pods", "nodes", "networks", *more),
        inside("namespaces", LOOSE_SELECTOR_RULES),
        inside("pods", pods),
        inside("nodes", LOOSE_SELECTOR_RULES),
        each("networks", _network),
        unique("networks"),
    )


PODS_RULES: Validators[NamespacedPods] = (
    inside("namespace_selector", LOOSE_SELECTOR_RULES),
    inside("pod_selector", LOOSE_SELECTOR_RULES),
)

RANGE_RULES: Validators[NumberRange] = (
    must("end", "must be above start", lambda span: span.start < span.end),
)


def has_no_port_names(peer: AdminEgressPeer) -> bool:
    """Whether the peer is no pod, so that no port of it has a name."""
    return bool(peer.networks or peer.nodes or getattr(peer, "domain_names", ()))


DOMAIN_RULES: Validators[NamedEgressPeer] = (unique("domain_names"),)
