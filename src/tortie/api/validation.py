"""Defaults and validation of any resource: the rules of each kind, in one table."""

from collections.abc import Callable, Iterator
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from tortie.api import checks
from tortie.api.calico import (
    bgp_configuration,
    bgp_filter,
    bgp_peer,
    felix_configuration,
    global_network_policy,
    host_endpoint,
    ip_pool,
    ip_reservation,
    ipam,
    kube_controllers,
    network_policy,
    network_set,
    node,
    node_status,
    profile,
    staged_policies,
    tier,
    workload_endpoint,
)
from tortie.api.kube import (
    admin_network_policy,
    baseline_admin_network_policy,
    cluster_network_policy,
    endpoint_slice,
    pod,
    service,
)
from tortie.api.kube import network_policy as kube_network_policy
from tortie.api.kube import node as kube_node
from tortie.api.meta import ObjectMeta, Resource
from tortie.api.problems import Violation
from tortie.api.registry import KINDS
from tortie.api.rules import (
    Cel,
    Check,
    Validators,
    cel_of,
    check_all,
    inside,
    must,
    pairs,
    present,
)

R = TypeVar("R", bound=Resource)
ANNOTATIONS_SIZE = 256 * 1024  # bytes of all keys and values together

_RULES: dict[str, Validators[Any]] = {
    "NetworkPolicy": network_policy.RULES,
    "GlobalNetworkPolicy": global_network_policy.RULES,
    "Tier": tier.RULES,
    "NetworkSet": network_set.RULES,
    "GlobalNetworkSet": network_set.RULES,
    "Profile": profile.RULES,
    "WorkloadEndpoint": workload_endpoint.RULES,
    "Node": node.RULES,
    "IPPool": ip_pool.RULES,
    "IPAMBlock": ipam.BLOCK_RULES,
    "BlockAffinity": ipam.AFFINITY_RULES,
    "StagedNetworkPolicy": staged_policies.STAGED_RULES,
    "StagedGlobalNetworkPolicy": staged_policies.STAGED_GLOBAL_RULES,
    "StagedKubernetesNetworkPolicy": staged_policies.STAGED_KUBERNETES_RULES,
    "HostEndpoint": host_endpoint.RULES,
    "IPReservation": ip_reservation.RULES,
    "BGPConfiguration": bgp_configuration.RULES,
    "BGPPeer": bgp_peer.RULES,
    "BGPFilter": bgp_filter.RULES,
    "FelixConfiguration": felix_configuration.RULES,
    "KubeControllersConfiguration": kube_controllers.RULES,
    "CalicoNodeStatus": node_status.RULES,
    "KubernetesNetworkPolicy": kube_network_policy.RULES,
    "KubernetesAdminNetworkPolicy": admin_network_policy.RULES,
    "KubernetesBaselineAdminNetworkPolicy": baseline_admin_network_policy.RULES,
    "KubernetesClusterNetworkPolicy": cluster_network_policy.RULES,
    "Pod": pod.RULES,
    "Service": service.RULES,
    "EndpointSlice": endpoint_slice.RULES,
    "KubernetesNode": kube_node.RULES,
}

_NAMES: dict[str, Check] = {
    "NetworkPolicy": network_policy.policy_name,
    "GlobalNetworkPolicy": network_policy.global_policy_name,
    "StagedNetworkPolicy": network_policy.policy_name,
    "StagedGlobalNetworkPolicy": network_policy.global_policy_name,
    "Tier": checks.dns_label,
    "Namespace": checks.dns_label,
}
"""What the names of a kind are, where they are not just DNS names."""

_DEFAULTS: dict[str, Callable[[Any], Any]] = {
    "NetworkPolicy": network_policy.with_defaults,
    "GlobalNetworkPolicy": global_network_policy.with_defaults,
    "IPPool": ip_pool.with_defaults,
    "BGPConfiguration": bgp_configuration.with_defaults,
    "BGPPeer": bgp_peer.with_defaults,
    "KubernetesNetworkPolicy": kube_network_policy.with_defaults,
    "StagedNetworkPolicy": staged_policies.with_defaults,
    "StagedGlobalNetworkPolicy": staged_policies.with_defaults,
    "StagedKubernetesNetworkPolicy": staged_policies.with_policy_types,
}


_IMMUTABLE: dict[str, dict[str, tuple[str, str]]] = {"IPPool": ip_pool.IMMUTABLE}
"""For each field that never changes its path and what to say."""


def _annotations_size(metadata: ObjectMeta) -> int:
    texts = (*metadata.annotations, *metadata.annotations.values())
    return sum(
        len(text) if text.isascii() else len(text.encode(errors="replace")) for text in texts
    )


_METADATA: Validators[Resource] = (
    inside(
        "metadata",
        (
            pairs("labels", checks.qualified_name, checks.label_value),
            pairs("annotations", checks.annotation_key, str),
            must(
                "annotations",
                "annotations have more than 256 KiB",
                lambda m: not m.annotations or _annotations_size(m) <= ANNOTATIONS_SIZE,
            ),
        ),
    ),
)

_NAMESPACED: Validators[Resource] = (inside("metadata", (present("namespace", checks.dns_label),)),)
_CLUSTER_WIDE: Validators[Resource] = (
    inside(
        "metadata",
        (must("namespace", "the kind is cluster-wide", lambda m: not m.namespace, "leave it out"),),
    ),
)


def apply_defaults(resource: R) -> R:
    """The resource with what depends on its other fields filled in; the types have the rest."""
    fill = _DEFAULTS.get(resource.kind)
    filled: R = fill(resource) if fill else resource
    return filled


@cache
def _rules(kind: str) -> Validators[Any]:
    name = inside("metadata", (present("name", _NAMES.get(kind, checks.dns_subdomain)),))
    scope = _NAMESPACED if KINDS[kind].namespaced else _CLUSTER_WIDE
    return (name, *_METADATA, *scope, *_RULES.get(kind, ()))


def stated_rules(kind: str) -> Iterator[tuple[tuple[str, ...], Cel]]:
    """What API servers check of the kind too, and the steps to the object that each is about."""
    yield from cel_of(_rules(kind))
    for field, (_, message) in _IMMUTABLE.get(kind, {}).items():
        yield tuple(field.split(".")), Cel("self == oldSelf", message=message)


def validate(resource: Resource) -> tuple[Violation, ...]:
    """All that is wrong with a resource whose fields have the right types; empty if it is valid."""
    found: list[Violation] = []
    check_all(_rules(resource.kind), resource, None, found)
    return tuple(found)


def validate_update(before: R, after: R) -> tuple[Violation, ...]:
    """What of `after` may not be, since the object was `before`: fields that never change."""
    fields = _IMMUTABLE.get(after.kind, {})
    return tuple(
        Violation(path, message, attrgetter(field)(after))
        for field, (path, message) in fields.items()
        if attrgetter(field)(before) != attrgetter(field)(after)
    )
