"""All kinds: how manifests, datastores and people name each."""

from difflib import get_close_matches
from typing import NamedTuple

from tortie.api.calico.bgp_configuration import BGPConfiguration
from tortie.api.calico.bgp_filter import BGPFilter
from tortie.api.calico.bgp_peer import BGPPeer
from tortie.api.calico.cluster_information import ClusterInformation
from tortie.api.calico.felix_configuration import FelixConfiguration
from tortie.api.calico.global_network_policy import GlobalNetworkPolicy
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.api.calico.ip_pool import IPPool
from tortie.api.calico.ip_reservation import IPReservation
from tortie.api.calico.ipam import BlockAffinity, IPAMBlock, IPAMConfiguration, IPAMHandle
from tortie.api.calico.kube_controllers import KubeControllersConfiguration
from tortie.api.calico.network_policy import NetworkPolicy
from tortie.api.calico.network_set import GlobalNetworkSet, NetworkSet
from tortie.api.calico.node import Node
from tortie.api.calico.node_status import CalicoNodeStatus
from tortie.api.calico.profile import Profile
from tortie.api.calico.staged_policies import (
    StagedGlobalNetworkPolicy,
    StagedKubernetesNetworkPolicy,
    StagedNetworkPolicy,
)
from tortie.api.calico.tier import Tier
from tortie.api.calico.workload_endpoint import WorkloadEndpoint
from tortie.api.kube.admin_network_policy import AdminNetworkPolicy
from tortie.api.kube.baseline_admin_network_policy import BaselineAdminNetworkPolicy
from tortie.api.kube.cluster_network_policy import ClusterNetworkPolicy
from tortie.api.kube.endpoint_slice import EndpointSlice
from tortie.api.kube.namespace import Namespace
from tortie.api.kube.network_policy import KubernetesNetworkPolicy
from tortie.api.kube.node import KubernetesNode
from tortie.api.kube.pod import Pod
from tortie.api.kube.service import Service
from tortie.api.kube.service_account import ServiceAccount
from tortie.api.meta import Resource


class Kind(NamedTuple):
    """One kind. `name` is unique here; `manifest_kind` is what YAML says under `kind`.

    `plural` names it in datastores and on the command line, `aliases` (lower case) only there.
    """

    name: str
    type: type[Resource]
    api_version: str
    manifest_kind: str
    plural: str
    namespaced: bool
    aliases: tuple[str, ...]


class UnknownKind(ValueError):
    """No kind of that name; `nearest` are names like it, the likeliest first."""

    def __init__(self, found: str, nearest: list[str]) -> None:
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no kind {found!r}{hint}")
        self.found = found
        self.nearest = nearest


def _kind(
    type_: type[Resource],
    plural: str,
    *aliases: str,
    namespaced: bool = False,
    manifest_kind: str = "",
) -> Kind:
    return Kind(
        type_.kind,
        type_,
        type_.api_version,
        manifest_kind or type_.kind,
        plural,
        namespaced,
        aliases,
    )


def _without_prefix(*names: str) -> tuple[str, ...]:
    """The names that kubectl uses, alone and with their group."""
    return (*names, *(f"{name}.policy.networking.k8s.io" for name in names))


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind(
            NetworkPolicy, "networkpolicies", "cnp", "caliconetworkpolicy", "np", namespaced=True
        ),
        _kind(GlobalNetworkPolicy, "globalnetworkpolicies", "gnp", "cgnp"),
        _kind(Tier, "tiers"),
        _kind(NetworkSet, "networksets", "netset", namespaced=True),
        _kind(GlobalNetworkSet, "globalnetworksets", "gns"),
        _kind(Profile, "profiles", "pro"),
        _kind(WorkloadEndpoint, "workloadendpoints", "wep", "weps", namespaced=True),
        _kind(Node, "nodes", "no"),
        _kind(IPPool, "ippools", "ipp", "pool"),
        _kind(IPAMBlock, "ipamblocks"),
        _kind(BlockAffinity, "blockaffinities", "affinity", "affinities"),
        _kind(IPAMHandle, "ipamhandles"),
        _kind(IPAMConfiguration, "ipamconfigurations", "ipamconfig", "ipamconfigs"),
        _kind(StagedNetworkPolicy, "stagednetworkpolicies", "scnp", "snp", namespaced=True),
        _kind(StagedGlobalNetworkPolicy, "stagedglobalnetworkpolicies", "sgnp"),
        _kind(
            StagedKubernetesNetworkPolicy,
            "stagedkubernetesnetworkpolicies",
            "sknp",
            namespaced=True,
        ),
        _kind(HostEndpoint, "hostendpoints", "hep", "heps"),
        _kind(IPReservation, "ipreservations"),
        _kind(BGPConfiguration, "bgpconfigurations", "bgpconfig", "bgpconfigs"),
        _kind(BGPPeer, "bgppeers"),
        _kind(BGPFilter, "bgpfilters"),
        _kind(FelixConfiguration, "felixconfigurations", "felixconfig", "felixconfigs"),
        _kind(ClusterInformation, "clusterinformations", "clusterinfo", "clusterinfos"),
        _kind(KubeControllersConfiguration, "kubecontrollersconfigurations", "kcc", "kccs"),
        _kind(CalicoNodeStatus, "caliconodestatuses"),
        _kind(
            KubernetesNetworkPolicy,
            "kubernetesnetworkpolicies",
            "knp",
            "netpol",
            "networkpolicy.networking.k8s.io",
            "networkpolicies.networking.k8s.io",
            namespaced=True,
            manifest_kind="NetworkPolicy",
        ),
        _kind(
            AdminNetworkPolicy,
            "kubernetesadminnetworkpolicies",
            "anp",
            "kanp",
            *_without_prefix("adminnetworkpolicy", "adminnetworkpolicies"),
            manifest_kind="AdminNetworkPolicy",
        ),
        _kind(
            BaselineAdminNetworkPolicy,
            "kubernetesbaselineadminnetworkpolicies",
            "banp",
            "kbanp",
            *_without_prefix("baselineadminnetworkpolicy", "baselineadminnetworkpolicies"),
            manifest_kind="BaselineAdminNetworkPolicy",
        ),
        _kind(
            ClusterNetworkPolicy,  # "cnp", its own short name, is that of Calico's NetworkPolicy
            "kubernetesclusternetworkpolicies",
            "kcnp",
            *_without_prefix("clusternetworkpolicy", "clusternetworkpolicies"),
            manifest_kind="ClusterNetworkPolicy",
        ),
        _kind(Pod, "pods", "po", namespaced=True),
        _kind(Namespace, "namespaces", "ns"),
        _kind(Service, "services", "svc", namespaced=True),
        _kind(EndpointSlice, "endpointslices", namespaced=True),
        _kind(KubernetesNode, "kubernetesnodes", "nodes.core", manifest_kind="Node"),
        _kind(ServiceAccount, "serviceaccounts", "sa", namespaced=True),
    )
}
"""Every kind by its name, which is also the `kind` of a Key."""

_SAME_GROUP = {
    "crd.projectcalico.org/v1": "projectcalico.org/v3",
    "policy.networking.k8s.io/v1beta1": "policy.networking.k8s.io/v1alpha2",
}
"""Groups and versions that hold the same objects under another name."""

_BY_MANIFEST = {(kind.api_version, kind.manifest_kind): kind for kind in KINDS.values()}
_BY_WORD = {
    word: kind
    for kind in KINDS.values()
    for word in (kind.name.lower(), kind.plural, *kind.aliases)
}


def kind_named(text: str) -> Kind:
    """The kind that a person calls so: "gnp", "networkpolicies", "IPPool", in any case.

    "<plural>.<group>" works too. Raises UnknownKind with the nearest names.
    """
    word = text.strip().lower()
    found = _BY_WORD.get(word) or _BY_WORD.get(word.removesuffix(".projectcalico.org"))
    if found is None:
        names = [name for kind in KINDS.values() for name in (kind.name.lower(), kind.plural)]
        raise UnknownKind(text, get_close_matches(word, names, n=2, cutoff=0.6))
    return found


def kind_of_manifest(api_version: str, kind: str) -> Kind:
    """The kind of a manifest with these two fields.

    Raises UnknownKind whose `nearest` are kinds as "apiVersion/kind": the same kind of another
    group, or one spelt alike.
    """
    found = _BY_MANIFEST.get((_SAME_GROUP.get(api_version, api_version), kind))
    if found is not None:
        return found
    same = [f"{group}/{name}" for group, name in _BY_MANIFEST if name == kind]
    if not same:
        names = {name.lower(): name for _, name in _BY_MANIFEST}
        alike = get_close_matches(kind.lower(), names, n=1, cutoff=0.6)
        same = [f"{group}/{name}" for group, name in _BY_MANIFEST if name.lower() in alike]
    raise UnknownKind(f"{api_version}/{kind}", same)
