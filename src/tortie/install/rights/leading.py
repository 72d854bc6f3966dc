"""The controllers' rights to lead, to tell of their settings, and to make nodes' host endpoints."""

from tortie.install.rights.roles import FOLLOW, Rule, calico, core

LEADING = (
    Rule(
        "One process of all leads: its Lease.",
        ("get", "update"),
        group="coordination.k8s.io",
        resources=("leases",),
        names=("calico-kube-controllers",),
    ),
    Rule("", ("create",), group="coordination.k8s.io", resources=("leases",)),
    calico(
        "Whether the datastore is locked, since it is being migrated.",
        ("get", *FOLLOW),
        "ClusterInformation",
    ),
    calico(
        "Their settings, and what they say of them.",
        ("get", *FOLLOW, "create", "update"),
        "KubeControllersConfiguration",
    ),
    calico("", ("update",), "KubeControllersConfiguration/status"),
    calico(
        "Host endpoints that nodes get by themselves.",
        ("get", *FOLLOW, "create", "update", "delete"),
        "HostEndpoint",
    ),
    core("Nodes, which have them.", ("get", *FOLLOW), "nodes"),
)
"""What all controllers need together, and those of nodes."""
