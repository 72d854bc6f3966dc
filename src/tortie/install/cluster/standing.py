"""How far an object has come, from what an API server says of it. Pure."""

from typing import Any, NamedTuple

from tortie.install.manifests.objects import Object


class Standing(NamedTuple):
    """Whether it is as it should be, and what there is to say of it."""

    done: bool
    text: str


def standing(found: Object | None) -> Standing:
    """Of anything that an installation is made of."""
    if found is None:
        return Standing(False, "not there")
    judge = _JUDGES.get(found["kind"])
    return judge(found) if judge else Standing(True, "there")


def _definition(found: Object) -> Standing:
    conditions = found.get("status", {}).get("conditions") or ()
    state = {each["type"]: each for each in conditions}
    refused = state.get("NamesAccepted", {})
    if refused.get("status") == "False":
        return Standing(False, f"its name is refused: {refused.get('message', '')}")
    served = state.get("Established", {}).get("status") == "True"
    return Standing(served, "served" if served else "not served yet")


def _daemon_set(found: Object) -> Standing:
    """Every node that is to have it has the pod of this very template, and that pod is ready."""
    status = found.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    updated = status.get("updatedNumberScheduled", 0)
    ready = status.get("numberReady", 0)
    if not _observed(found, status):
        return Standing(False, "not looked at yet")
    text = f"{ready} of {wanted} nodes ready"
    if updated < wanted:
        text += f", {wanted - updated} still to be replaced"
    return Standing(updated >= wanted and ready >= wanted, text)


def _deployment(found: Object) -> Standing:
    status = found.get("status") or {}
    wanted = found["spec"].get("replicas", 1)
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    if not _observed(found, status):
        return Standing(False, "not looked at yet")
    for each in status.get("conditions") or ():
        if each.get("type") == "ReplicaFailure" and each.get("status") == "True":
            return Standing(False, str(each.get("message", "pods can't be made")))
    total = status.get("replicas", 0)
    text = f"{ready} of {wanted} pods ready"
    return Standing(updated >= wanted and ready >= wanted and total <= wanted, text)


def _observed(found: Object, status: Any) -> bool:
    return bool(status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0))


_JUDGES = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
}
