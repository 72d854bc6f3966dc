"""The fan-out server: it reads what agents read, once for all of them, and writes nothing."""

from tortie.install.rights.roles import FOLLOW, Role, calico, core, of_group

_FOLLOWED = (
    "BGPConfiguration",
    "BGPFilter",
    "BGPPeer",
    "BlockAffinity",
    "ClusterInformation",
    "FelixConfiguration",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HostEndpoint",
    "IPAMBlock",
    "IPPool",
    "NetworkPolicy",
    "NetworkSet",
    "Tier",
)

TYPHA = Role(
    "calico-typha",
    "The fan-out server: it reads what agents read, once for all of them, and writes nothing.",
    (
        calico(
            "Whether the datastore is locked, since it is being migrated.",
            ("get",),
            "ClusterInformation",
        ),
        core(
            "Which cluster this is: the UID of this namespace, which clients are told.",
            ("get",),
            "namespaces",
            names=("kube-system",),
        ),
        core(
            "Nodes are also counted, and the servers' own endpoints: clients are shared out among"
            " servers.",
            FOLLOW,
            *("namespaces", "nodes", "pods", "serviceaccounts", "services"),
        ),
        of_group("", FOLLOW, "discovery.k8s.io", "endpointslices"),
        of_group("", FOLLOW, "networking.k8s.io", "networkpolicies"),
        of_group(
            "",
            FOLLOW,
            "policy.networking.k8s.io",
            *("adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"),
        ),
        calico("", FOLLOW, *_FOLLOWED),
    ),
    account="calico-typha",
)
