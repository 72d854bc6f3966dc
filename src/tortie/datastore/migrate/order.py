"""In which order kinds are written, and whose they are. Pure.

Nothing may be selected before what restricts it is there: tiers and sets before policies, policies
before addresses, and workloads at the end.
"""

from tortie.api import KINDS
from tortie.datastore.cluster import CLUSTER

ORDER = (
    CLUSTER.kind,
    "Tier",
    "FelixConfiguration",
    "KubeControllersConfiguration",
    "Namespace",
    "ServiceAccount",
    "GlobalNetworkSet",
    "NetworkSet",
    "Service",
    "EndpointSlice",
    "GlobalNetworkPolicy",
    "NetworkPolicy",
    "KubernetesAdminNetworkPolicy",
    "KubernetesBaselineAdminNetworkPolicy",
    "KubernetesClusterNetworkPolicy",
    "KubernetesNetworkPolicy",
    "StagedGlobalNetworkPolicy",
    "StagedNetworkPolicy",
    "StagedKubernetesNetworkPolicy",
    "Profile",
    "BGPFilter",
    "BGPConfiguration",
    "BGPPeer",
    "IPReservation",
    "IPAMConfiguration",
    "IPPool",
    "IPAMBlock",
    "BlockAffinity",
    "IPAMHandle",
    "KubernetesNode",
    "Node",
    "CalicoNodeStatus",
    "HostEndpoint",
    "Pod",
    "WorkloadEndpoint",
)
assert set(ORDER) == set(KINDS), "each kind has its place"

CLUSTERS_OWN = frozenset(
    {"Pod", "Namespace", "ServiceAccount", "Service", "EndpointSlice", "KubernetesNode"}
)
"""Kinds that a Kubernetes cluster makes by itself; with another store they are objects as all."""

POLICIES_OF_THE_CLUSTER = frozenset(
    {
        "KubernetesNetworkPolicy",
        "KubernetesAdminNetworkPolicy",
        "KubernetesBaselineAdminNetworkPolicy",
        "KubernetesClusterNetworkPolicy",
    }
)
"""Kinds of Kubernetes that people write: there may be others of them in a cluster."""
