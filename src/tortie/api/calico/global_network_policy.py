"""GlobalNetworkPolicy: rules for endpoints of any namespace, and for hosts."""

from tortie.api.calico import API_VERSION
from tortie.api.calico.network_policy import NetworkPolicySpec
from tortie.api.fields import SelectorText
from tortie.api.meta import Resource


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
