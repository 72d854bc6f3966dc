"""All kinds: how manifests, datastores and people name each."""

from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

from tortie.api.meta import Resource


class Kind(NamedTuple):
    """One kind. `name` is unique here; `manifest_kind` is what YAML says under `kind`.

    `plural` names it in datastores and on the command line, `aliases` (lower case) only there.
    `module` (below `tortie.api`) has its type, which is loaded when somebody asks for it.
    """

    name: str
    module: str
    type_name: str
    api_version: str
    manifest_kind: str
    plural: str
    namespaced: bool
    aliases: tuple[str, ...]

    @property
    def type(self) -> type[Resource]:
        """The class of its objects."""
        found: type[Resource] = getattr(import_module(f"tortie.api.{self.module}"), self.type_name)
        return found


class UnknownKind(ValueError):
    """No kind of that name; `nearest` are names like it, the likeliest first."""

    def __init__(self, found: str, nearest: list[str]) -> None:
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"there is no kind {found!r}{hint}")
        self.found = found
        self.nearest = nearest


def _kind(
    module: str,
    type_name: str,
    plural: str,
    *aliases: str,
    name: str = "",
    api_version: str = "projectcalico.org/v3",
    manifest_kind: str = "",
    namespaced: bool = False,
) -> Kind:
    name = name or type_name
    return Kind(
        name, module, type_name, api_version, manifest_kind or name, plural, namespaced, aliases
    )


def _without_prefix(*names: str) -> tuple[str, ...]:
    """The names that kubectl uses, alone and with their group."""
    return (*names, *(f"{name}.policy.networking.k8s.io" for name in names))


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind(
            "calico.network_policy",
            "NetworkPolicy",
            "networkpolicies",
            "cnp",
            "caliconetworkpolicy",
            "np",
            namespaced=True,
        ),
        _kind(
            "calico.global_network_policy",
            "GlobalNetworkPolicy",
            "globalnetworkpolicies",
            "gnp",
            "cgnp",
        ),
        _kind("calico.tier", "Tier", "tiers"),
        _kind("calico.network_set", "NetworkSet", "networksets", "netset", namespaced=True),
        _kind("calico.network_set", "GlobalNetworkSet", "globalnetworksets", "gns"),
        _kind("calico.profile", "Profile", "profiles", "pro"),
        _kind(
            "calico.workload_endpoint",
            "WorkloadEndpoint",
            "workloadendpoints",
            "wep",
            "weps",
            namespaced=True,
        ),
        _kind("calico.node", "Node", "nodes", "no"),
        _kind("calico.ip_pool", "IPPool", "ippools", "ipp", "pool"),
        _kind("calico.ipam", "IPAMBlock", "ipamblocks"),
        _kind("calico.ipam", "BlockAffinity", "blockaffinities", "affinity", "affinities"),
        _kind("calico.ipam", "IPAMHandle", "ipamhandles"),
        _kind(
            "calico.ipam", "IPAMConfiguration", "ipamconfigurations", "ipamconfig", "ipamconfigs"
        ),
        _kind(
            "calico.staged_policies",
            "StagedNetworkPolicy",
            "stagednetworkpolicies",
            "scnp",
            "snp",
            namespaced=True,
        ),
        _kind(
            "calico.staged_policies",
            "StagedGlobalNetworkPolicy",
            "stagedglobalnetworkpolicies",
            "sgnp",
        ),
        _kind(
            "calico.staged_policies",
            "StagedKubernetesNetworkPolicy",
            "stagedkubernetesnetworkpolicies",
            "sknp",
            namespaced=True,
        ),
        _kind("calico.host_endpoint", "HostEndpoint", "hostendpoints", "hep", "heps"),
        _kind("calico.ip_reservation", "IPReservation", "ipreservations"),
        _kind(
            "calico.bgp_configuration",
            "BGPConfiguration",
            "bgpconfigurations",
            "bgpconfig",
            "bgpconfigs",
        ),
        _kind("calico.bgp_peer", "BGPPeer", "bgppeers"),
        _kind("calico.bgp_filter", "BGPFilter", "bgpfilters"),
        _kind(
            "calico.felix_configuration",
            "FelixConfiguration",
            "felixconfigurations",
            "felixconfig",
            "felixconfigs",
        ),
        _kind(
            "calico.cluster_information",
            "ClusterInformation",
            "clusterinformations",
            "clusterinfo",
            "clusterinfos",
        ),
        _kind(
            "calico.kube_controllers",
            "KubeControllersConfiguration",
            "kubecontrollersconfigurations",
            "kcc",
            "kccs",
        ),
        _kind("calico.node_status", "CalicoNodeStatus", "caliconodestatuses"),
        _kind(
            "kube.network_policy",
            "KubernetesNetworkPolicy",
            "kubernetesnetworkpolicies",
            "knp",
            "netpol",
            "networkpolicy.networking.k8s.io",
            "networkpolicies.networking.k8s.io",
            namespaced=True,
            manifest_kind="NetworkPolicy",
            api_version="networking.k8s.io/v1",
        ),
        _kind(
            "kube.admin_network_policy",
            "AdminNetworkPolicy",
            "kubernetesadminnetworkpolicies",
            "anp",
            "kanp",
            *_without_prefix("adminnetworkpolicy", "adminnetworkpolicies"),
            manifest_kind="AdminNetworkPolicy",
            name="KubernetesAdminNetworkPolicy",
            api_version="policy.networking.k8s.io/v1alpha1",
        ),
        _kind(
            "kube.baseline_admin_network_policy",
            "BaselineAdminNetworkPolicy",
            "kubernetesbaselineadminnetworkpolicies",
            "banp",
            "kbanp",
            *_without_prefix("baselineadminnetworkpolicy", "baselineadminnetworkpolicies"),
            manifest_kind="BaselineAdminNetworkPolicy",
            name="KubernetesBaselineAdminNetworkPolicy",
            api_version="policy.networking.k8s.io/v1alpha1",
        ),
        _kind(
            "kube.cluster_network_policy",
            "ClusterNetworkPolicy",  # "cnp", its own short name, is that of Calico's NetworkPolicy
            "kubernetesclusternetworkpolicies",
            "kcnp",
            *_without_prefix("clusternetworkpolicy", "clusternetworkpolicies"),
            manifest_kind="ClusterNetworkPolicy",
            name="KubernetesClusterNetworkPolicy",
            api_version="policy.networking.k8s.io/v1alpha2",
        ),
        _kind("kube.pod", "Pod", "pods", "po", namespaced=True, api_version="v1"),
        _kind("kube.namespace", "Namespace", "namespaces", "ns", api_version="v1"),
        _kind("kube.service", "Service", "services", "svc", namespaced=True, api_version="v1"),
        _kind(
            "kube.endpoint_slice",
            "EndpointSlice",
            "endpointslices",
            namespaced=True,
            api_version="discovery.k8s.io/v1",
        ),
        _kind(
            "kube.node",
            "KubernetesNode",
            "kubernetesnodes",
            "nodes.core",
            manifest_kind="Node",
            api_version="v1",
        ),
        _kind(
            "kube.service_account",
            "ServiceAccount",
            "serviceaccounts",
            "sa",
            namespaced=True,
            api_version="v1",
        ),
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
