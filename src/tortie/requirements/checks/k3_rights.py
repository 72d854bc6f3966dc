"""K3: what our account may do."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning

_SHOWN = 6


def judge(machine: Machine) -> Finding:
    """What the API server says of our rights."""
    kube = machine.cluster.kubernetes if machine.cluster else None
    if kube is None or kube.problem:
        return warning("rights can't be asked", "see row K2")
    if kube.denied:
        more = "" if len(kube.denied) <= _SHOWN else f" and {len(kube.denied) - _SHOWN} more"
        return missing(
            f"this account may not {', '.join(kube.denied[:_SHOWN])}{more}",
            "`tortie install apply`, or the ClusterRoles in manifests/",
        )
    return ok("this account may do what a node does")


CHECK = Check(
    "K3",
    "account",
    "a Kubernetes datastore",
    "The API server is asked whether this account may do what a node does"
    " (SelfSubjectRulesReview). `manifests/` holds the accounts, roles and bindings for both"
    " datastores: with Kubernetes as datastore, and what is read of Kubernetes beside etcd. etcd's"
    " users and roles are in docs/datastore-etcd.md; a right that lacks there is told by the first"
    " request.",
    judge,
    applies=lambda modes: modes.datastore == "kubernetes",
)
