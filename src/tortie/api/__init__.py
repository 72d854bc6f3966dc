"""The resources: types, defaults, validation, YAML and JSON.

What comes in: manifests from people, bytes from datastores. What goes out: frozen typed values, or
errors that name the file, the document, the path to the field, what was found and the nearest valid
name. A person's unknown field is an error; a datastore's is ignored. It never performs I/O.

The types of the kinds are loaded when somebody asks for them: a command that lists tiers
does not pay for thirty other kinds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tortie.api.codec import DecodeError, decode, encode, to_manifest, with_metadata
from tortie.api.meta import Key, ObjectMeta, Resource
from tortie.api.registry import KINDS, Kind, UnknownKind, kind_named, kind_of_manifest

if TYPE_CHECKING:
    from tortie.api.calico.global_network_policy import GlobalNetworkPolicy, GlobalNetworkPolicySpec
    from tortie.api.calico.ip_pool import IPPool, IPPoolSpec
    from tortie.api.calico.ip_reservation import IPReservation, IPReservationSpec
    from tortie.api.calico.ipam import (
        AllocationAttribute,
        BlockAffinity,
        BlockAffinitySpec,
        IPAMBlock,
        IPAMBlockSpec,
        IPAMConfiguration,
        IPAMConfigurationSpec,
        IPAMHandle,
        IPAMHandleSpec,
    )
    from tortie.api.calico.network_policy import NetworkPolicy, NetworkPolicySpec
    from tortie.api.calico.network_set import GlobalNetworkSet, NetworkSet, NetworkSetSpec
    from tortie.api.calico.node import Node, NodeBgp, NodeSpec, NodeStatus
    from tortie.api.calico.profile import Profile, ProfileSpec
    from tortie.api.calico.rule import (
        EntityRule,
        IcmpFields,
        Rule,
        RuleMetadata,
        ServiceAccountMatch,
        ServiceMatch,
    )
    from tortie.api.calico.tier import Tier, TierSpec
    from tortie.api.calico.workload_endpoint import (
        EndpointPort,
        WorkloadEndpoint,
        WorkloadEndpointSpec,
    )
    from tortie.api.kube.admin_network_policy import AdminNetworkPolicy
    from tortie.api.kube.baseline_admin_network_policy import BaselineAdminNetworkPolicy
    from tortie.api.kube.cluster_network_policy import ClusterNetworkPolicy
    from tortie.api.kube.namespace import Namespace
    from tortie.api.kube.network_policy import (
        EgressRule,
        IngressRule,
        IPBlock,
        KubernetesNetworkPolicy,
        KubernetesNetworkPolicySpec,
        NetworkPolicyPeer,
        NetworkPolicyPort,
    )
    from tortie.api.kube.pod import Container, ContainerPort, Pod, PodIP, PodSpec, PodStatus
    from tortie.api.kube.selector import LabelRequirement, LabelSelector
    from tortie.api.kube.service_account import ServiceAccount

__all__ = [
    "KINDS",
    "AdminNetworkPolicy",
    "AllocationAttribute",
    "BaselineAdminNetworkPolicy",
    "BlockAffinity",
    "BlockAffinitySpec",
    "ClusterNetworkPolicy",
    "Container",
    "ContainerPort",
    "DecodeError",
    "EgressRule",
    "EndpointPort",
    "EntityRule",
    "GlobalNetworkPolicy",
    "GlobalNetworkPolicySpec",
    "GlobalNetworkSet",
    "IPAMBlock",
    "IPAMBlockSpec",
    "IPAMConfiguration",
    "IPAMConfigurationSpec",
    "IPAMHandle",
    "IPAMHandleSpec",
    "IPBlock",
    "IPPool",
    "IPPoolSpec",
    "IPReservation",
    "IPReservationSpec",
    "IcmpFields",
    "IngressRule",
    "Key",
    "Kind",
    "KubernetesNetworkPolicy",
    "KubernetesNetworkPolicySpec",
    "LabelRequirement",
    "LabelSelector",
    "Namespace",
    "NetworkPolicy",
    "NetworkPolicyPeer",
    "NetworkPolicyPort",
    "NetworkPolicySpec",
    "NetworkSet",
    "NetworkSetSpec",
    "Node",
    "NodeBgp",
    "NodeSpec",
    "NodeStatus",
    "ObjectMeta",
    "Pod",
    "PodIP",
    "PodSpec",
    "PodStatus",
    "Profile",
    "ProfileSpec",
    "Resource",
    "Rule",
    "RuleMetadata",
    "ServiceAccount",
    "ServiceAccountMatch",
    "ServiceMatch",
    "Tier",
    "TierSpec",
    "UnknownKind",
    "WorkloadEndpoint",
    "WorkloadEndpointSpec",
    "decode",
    "encode",
    "kind_named",
    "kind_of_manifest",
    "to_manifest",
    "with_metadata",
]

_MODULES = {
    "calico.global_network_policy": (
        "GlobalNetworkPolicy",
        "GlobalNetworkPolicySpec",
    ),
    "calico.ip_pool": (
        "IPPool",
        "IPPoolSpec",
    ),
    "calico.ip_reservation": (
        "IPReservation",
        "IPReservationSpec",
    ),
    "calico.ipam": (
        "AllocationAttribute",
        "BlockAffinity",
        "BlockAffinitySpec",
        "IPAMBlock",
        "IPAMBlockSpec",
        "IPAMConfiguration",
        "IPAMConfigurationSpec",
        "IPAMHandle",
        "IPAMHandleSpec",
    ),
    "calico.network_policy": (
        "NetworkPolicy",
        "NetworkPolicySpec",
    ),
    "calico.network_set": (
        "GlobalNetworkSet",
        "NetworkSet",
        "NetworkSetSpec",
    ),
    "calico.node": (
        "Node",
        "NodeBgp",
        "NodeSpec",
        "NodeStatus",
    ),
    "calico.profile": (
        "Profile",
        "ProfileSpec",
    ),
    "calico.rule": (
        "EntityRule",
        "IcmpFields",
        "Rule",
        "RuleMetadata",
        "ServiceAccountMatch",
        "ServiceMatch",
    ),
    "calico.tier": (
        "Tier",
        "TierSpec",
    ),
    "calico.workload_endpoint": (
        "EndpointPort",
        "WorkloadEndpoint",
        "WorkloadEndpointSpec",
    ),
    "kube.admin_network_policy": ("AdminNetworkPolicy",),
    "kube.baseline_admin_network_policy": ("BaselineAdminNetworkPolicy",),
    "kube.cluster_network_policy": ("ClusterNetworkPolicy",),
    "kube.namespace": ("Namespace",),
    "kube.network_policy": (
        "EgressRule",
        "IngressRule",
        "IPBlock",
        "KubernetesNetworkPolicy",
        "KubernetesNetworkPolicySpec",
        "NetworkPolicyPeer",
        "NetworkPolicyPort",
    ),
    "kube.pod": (
        "Container",
        "ContainerPort",
        "Pod",
        "PodIP",
        "PodSpec",
        "PodStatus",
    ),
    "kube.selector": (
        "LabelRequirement",
        "LabelSelector",
    ),
    "kube.service_account": ("ServiceAccount",),
}
"""For each module of `tortie.api` what it has for others."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """A type from its own module, at first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
