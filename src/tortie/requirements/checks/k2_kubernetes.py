"""K2: the Kubernetes API as datastore."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning


def judge(machine: Machine) -> Finding:
    """Whether it answers."""
    kube = machine.cluster.kubernetes if machine.cluster else None
    if kube is None:
        return warning("no API server was asked", "name it: --datastore kubernetes:KUBECONFIG")
    if kube.problem:
        return missing(kube.problem, "see the kubeconfig, and row P8")
    return ok(kube.server)


CHECK = Check(
    "K2",
    "Kubernetes API",
    "a Kubernetes datastore",
    "It is asked for its version with the credentials of the settings.",
    judge,
    applies=lambda modes: modes.datastore == "kubernetes",
)
