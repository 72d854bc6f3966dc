"""Which kinds each kind of follower needs. What others refer to comes first, the many come last."""

POLICY_KINDS = frozenset(
    {
        "Tier",
        "GlobalNetworkPolicy",
        "NetworkPolicy",
        "KubernetesNetworkPolicy",
        "KubernetesAdminNetworkPolicy",
        "KubernetesBaselineAdminNetworkPolicy",
        "KubernetesClusterNetworkPolicy",
    }
)
"""The kinds of which one that is missing may leave open what it should close."""

FELIX_KINDS = (
    "ClusterInformation",
    "FelixConfiguration",
    "BGPConfiguration",
    "Tier",
    "IPPool",
    "Node",
    "Namespace",
    "ServiceAccount",
    "Profile",
    "NetworkSet",
    "GlobalNetworkSet",
    "GlobalNetworkPolicy",
    "NetworkPolicy",
    "KubernetesNetworkPolicy",
    "KubernetesAdminNetworkPolicy",
    "KubernetesBaselineAdminNetworkPolicy",
    "KubernetesClusterNetworkPolicy",
    "IPAMBlock",
    "BlockAffinity",
    "HostEndpoint",
    "Service",
    "EndpointSlice",
    "WorkloadEndpoint",
    "Pod",
)
"""For node agents. Staged policies are not enforced, so they stay away."""

BGP_KINDS = (
    "BGPConfiguration",
    "Node",
    "IPPool",
    "BGPFilter",
    "BGPPeer",
    "BlockAffinity",
    "Service",
    "EndpointSlice",
)
"""For what configures the nodes' routing daemons: whom to peer with, and what to announce."""

TUNNEL_KINDS = ("IPPool", "Node")
"""For what gives nodes addresses inside tunnels: pools say which are used, Nodes hold them."""
