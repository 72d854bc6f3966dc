"""What parts ask of Kubernetes where etcd has the resources: far less."""

from tortie.install.rights.alike import policies
from tortie.install.rights.roles import READ, Role, core

NODE_ON_ETCD = Role(
    "calico-node",
    "The node agent, where etcd has the resources: what people write is read from there.",
    (
        core(
            "To say that the node's network is there. The agent can't change a Node's spec.",
            ("get",),
            "nodes",
        ),
        core("", ("patch",), "nodes/status"),
        core(
            "The plugin looks at labels and annotations of a pod, and of its namespace.",
            ("get",),
            *("namespaces", "pods"),
        ),
    ),
    account="calico-node",
)
CONTROLLERS_ON_ETCD = Role(
    "calico-kube-controllers",
    "The controllers, where etcd has the resources: they bring over there what policy is about.",
    (
        core(
            "What policies select, by labels; and which nodes are gone.",
            READ,
            *("namespaces", "nodes", "pods", "serviceaccounts"),
        ),
        *policies(
            "Kubernetes' own policies.", READ, "Those of its administrators, where there are any."
        ),
        core(
            "Services of type LoadBalancer: what they ask for, and what they got.", READ, "services"
        ),
        core("", ("patch",), "services/status"),
    ),
    account="calico-kube-controllers",
)
