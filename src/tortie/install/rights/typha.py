"""The fan-out server: it reads what agents read, once for all of them, and writes nothing."""

from tortie.install.rights.alike import LOCKED, policies, slices
from tortie.install.rights.roles import FOLLOW, Role, calico, core

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
        LOCKED,
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
        slices(FOLLOW),
        *policies("", FOLLOW),
        calico("", FOLLOW, *_FOLLOWED),
    ),
    account="calico-typha",
)
