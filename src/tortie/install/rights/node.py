"""The node agent, which is also the CNI plugin's hand: the plugin itself holds no credentials."""

from tortie.install.rights.alike import LOCKED, policies, slices
from tortie.install.rights.roles import FOLLOW, READ, Role, Rule, calico, core
from tortie.install.rights.starting import BGP, REPORTS, STARTING, TOKEN

_WHY = "The node agent, which is also the CNI plugin's hand: the plugin holds no credentials."
_CLUSTER = core(
    "Which cluster this is: the UID of this namespace. An agent follows no other one than before.",
    ("get",),
    "namespaces",
    names=("kube-system",),
)
_SELECTED = (
    core(
        "What policies select, by labels, and what pods and services look like.",
        FOLLOW,
        *("namespaces", "pods", "serviceaccounts", "services"),
    ),
    slices(FOLLOW),
)
_POLICIES = policies(
    "Kubernetes' own policies. A cluster may lack the admin policies; then the rights name"
    " nothing.",
    FOLLOW,
)
_NODES = (
    core(
        "Where other nodes are; and to say where this one is: its addresses are annotations, which"
        " may be patched through the status. So the agent can't change a Node's spec, such as its"
        " taints.",
        READ,
        "nodes",
    ),
    core("", ("patch",), "nodes/status"),
)
_CONFIGURED = (
    "BGPConfiguration",
    "ClusterInformation",
    "FelixConfiguration",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HostEndpoint",
    "IPPool",
    "NetworkPolicy",
    "NetworkSet",
    "Tier",
)
_FOLLOWED = calico("What people configure. Nothing of it is written.", FOLLOW, *_CONFIGURED)
_BOOKS = (
    calico(
        "Routes follow from blocks; the node's own address in the tunnel is taken from them.",
        (*READ, "create", "update", "delete"),
        *("BlockAffinity", "IPAMBlock"),
    ),
    calico("", ("get", "create", "update", "delete"), "IPAMHandle"),
    calico("", ("get",), "IPAMConfiguration"),
    calico("", ("list",), "IPReservation"),
)
_BOOKS_READ = (
    calico(
        "What other networks of this cluster route, if any.",
        FOLLOW,
        *("BlockAffinity", "IPAMBlock"),
    ),
)


def node_role(*more: Rule, books: tuple[Rule, ...] = _BOOKS) -> Role:
    """The agent's role, with `more` of what runs beside it."""
    rules = (LOCKED, _CLUSTER, *_SELECTED, *_POLICIES, *_NODES, _FOLLOWED, *books)
    return Role("calico-node", _WHY, (*rules, *STARTING, *REPORTS, *more), account="calico-node")


NODE = node_role(*BGP, *TOKEN)
NODE_WITHOUT_BGP = node_role(*TOKEN)
NODE_OF_POLICY_ONLY = node_role(books=_BOOKS_READ)
