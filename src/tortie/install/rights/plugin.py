"""What it takes to attach a pod: addresses from the pools, noted on the Pod."""

from tortie.install.rights.alike import LOCKED
from tortie.install.rights.roles import Role, calico, core

_WHY = """\
What it takes to attach a pod: addresses from the pools, noted on the Pod.

The plugin asks the node's agent to do it, over a socket that only root can open. So these rights \
go to the agent's account, and no kubeconfig lies on the node's disk for others to find."""

PLUGIN = Role(
    "calico-cni-plugin",
    _WHY,
    (
        LOCKED,
        core(
            "The pod's annotations ask for addresses; which pods there are is needed to collect"
            " leaked ones.",
            ("get", "list"),
            "pods",
        ),
        core(
            "Its addresses are annotations, which may be patched through the status: the spec stays"
            " shut.",
            ("patch",),
            "pods/status",
        ),
        core(
            "Pools may select nodes and namespaces by their labels.",
            ("get",),
            *("namespaces", "nodes"),
        ),
        calico("", ("list",), "IPPool", "IPReservation"),
        calico("", ("get",), "IPAMConfiguration"),
        calico(
            "The books: which node has which block, which address is whose.",
            ("get", "list", "create", "update", "delete"),
            *("BlockAffinity", "IPAMBlock"),
        ),
        calico("", ("get", "create", "update", "delete"), "IPAMHandle"),
    ),
    account="calico-node",
)
