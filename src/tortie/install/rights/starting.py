"""What a node's start, its reports, BGP and the plugin's installer ask, beyond the agent's own."""

from tortie.install.rights.roles import FOLLOW, calico, core, of_group

STARTING = (
    calico(
        "What the first node of a cluster makes: pools, tiers, settings, which release it is.",
        ("create",),
        *("ClusterInformation", "FelixConfiguration", "IPPool", "Tier"),
    ),
    calico("", ("update",), "ClusterInformation", "FelixConfiguration"),
    calico("", ("get",), "BGPConfiguration", "FelixConfiguration"),
    core(
        "The ranges of kubeadm and of Rancher, which default pools go by.",
        ("get",),
        "configmaps",
        names=("kubeadm-config", "full-cluster-state"),
    ),
)
REPORTS = (
    of_group(
        "To say again and again how this node is: a Lease, as kubelets have.",
        ("create", "patch"),
        "coordination.k8s.io",
        "leases",
    ),
)
BGP = (
    calico("BGP: with whom, what passes.", FOLLOW, "BGPFilter", "BGPPeer", "CalicoNodeStatus"),
    calico("Who asks how its sessions are gets an answer.", ("get",), "CalicoNodeStatus"),
    calico("", ("update",), "CalicoNodeStatus", "CalicoNodeStatus/status"),
)
TOKEN = (
    core(
        "A token for the plugin's kubeconfig, of an account that may do nothing.",
        ("create",),
        "serviceaccounts/token",
        names=("calico-cni-plugin",),
    ),
)
