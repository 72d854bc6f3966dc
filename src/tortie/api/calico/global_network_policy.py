"""GlobalNetworkPolicy: rules for endpoints of any namespace, and for hosts."""

from typing import Any

from msgspec.structs import replace

from tortie.api.calico import API_VERSION
from tortie.api.calico.network_policy import SPEC_RULES as POLICY_SPEC_RULES
from tortie.api.calico.network_policy import (
    NetworkPolicySpec,
    selectors_of,
    tier_labelled,
    typed,
)
from tortie.api.fields import SelectorText
from tortie.api.meta import Resource
from tortie.api.rules import FORBIDDEN, Cel, Validator, Validators, inside, items, must


class GlobalNetworkPolicySpec(NetworkPolicySpec, frozen=True, kw_only=True):
    """As for a NetworkPolicy, with namespaces selected by label and what only hosts have."""

    namespace_selector: SelectorText = ""
    """Only endpoints of namespaces with these labels."""
    do_not_track: bool = False
    """Before connection tracking, so without it; host endpoints only."""
    apply_on_forward: bool = False
    """Also for packets that a host endpoint forwards."""
    pre_dnat: bool = False
    """Before destination NAT; ingress of host endpoints only."""


class GlobalNetworkPolicy(Resource, frozen=True, kw_only=True):
    """Rules for endpoints of any namespace, and for hosts."""

    api_version = API_VERSION
    kind = "GlobalNetworkPolicy"

    spec: GlobalNetworkPolicySpec


def _service_namespace(end: str) -> Validator[Any]:
    return inside(
        end,
        (
            must(
                "services",
                "a GlobalNetworkPolicy must name the service's namespace",
                lambda e: e.services is None or e.services.namespace,
            ),
        ),
    )


SPEC_RULES: Validators[GlobalNetworkPolicySpec] = (
    *POLICY_SPEC_RULES,
    *selectors_of("namespace_selector"),
    items("ingress", (_service_namespace("source"),)),
    items("egress", (_service_namespace("destination"),)),
    must(
        "pre_dnat",
        "preDNAT and doNotTrack cannot both be true",
        lambda s: not (s.pre_dnat and s.do_not_track),
        cel=Cel(
            "!((has(self.doNotTrack) && self.doNotTrack) && (has(self.preDNAT) && self.preDNAT))",
            FORBIDDEN,
        ),
    ),
    must(
        "egress",
        "preDNAT policy cannot have any egress rules",
        lambda s: not (s.pre_dnat and s.egress),
        cel=Cel(
            "(!has(self.preDNAT) || !self.preDNAT) || !has(self.egress) || size(self.egress) == 0",
            FORBIDDEN,
        ),
    ),
    must(
        "types",
        "preDNAT policy cannot have 'Egress' type",
        lambda s: not (s.pre_dnat and "Egress" in s.types),
        cel=Cel(
            "(!has(self.preDNAT) || !self.preDNAT) || !has(self.types) || "
            "!self.types.exists(t, t == 'Egress')",
            FORBIDDEN,
        ),
    ),
    must(
        "apply_on_forward",
        "applyOnForward must be true if either preDNAT or doNotTrack is true",
        lambda s: s.apply_on_forward or not (s.pre_dnat or s.do_not_track),
        cel=Cel(
            "(has(self.applyOnForward) && self.applyOnForward) || ((!has(self.doNotTrack) || "
            "!self.doNotTrack) && (!has(self.preDNAT) || !self.preDNAT))"
        ),
    ),
)

RULES = (inside("spec", SPEC_RULES),)


def with_defaults(policy: GlobalNetworkPolicy) -> GlobalNetworkPolicy:
    """Types as the rules imply, and the label that tells the tier."""
    return replace(
        policy, metadata=tier_labelled(policy.metadata, policy.spec.tier), spec=typed(policy.spec)
    )
