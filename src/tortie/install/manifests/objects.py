"""What objects of Kubernetes have in common."""

from collections.abc import Iterable, Mapping
from typing import Any

from tortie.install.rights import NAMESPACE

Object = dict[str, Any]

PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
OURS: Mapping[str, str] = {PART_OF: "tortie", MANAGED_BY: "tortie-install"}
"""The labels by which uninstalling finds what installing made."""
LINUX = {"kubernetes.io/os": "linux"}


def labelled(made: Object) -> Object:
    """The same object with our labels."""
    metadata = made["metadata"]
    return {**made, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **OURS}}}


def of_namespace(kind: str, name: str, version: str = "v1", **labels: str) -> Object:
    """The head of an object in our namespace."""
    shown = {"labels": {word.replace("_", "-"): value for word, value in labels.items()}}
    metadata = {"name": name, "namespace": NAMESPACE, **(shown if labels else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def values(given: Mapping[str, str]) -> list[Object]:
    """Variables of an environment."""
    return [{"name": name, "value": value} for name, value in given.items()]


def value_of(name: str, config_map: str, key: str) -> Object:
    """A variable that a ConfigMap has."""
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": config_map, "key": key}}}


def field_of(name: str, path: str) -> Object:
    """A variable that the pod itself has."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def host_path(name: str, path: str, kind: str = "") -> Object:
    """A folder of the node."""
    return {"name": name, "hostPath": {"path": path, **({"type": kind} if kind else {})}}


def mount(name: str, path: str, **more: Any) -> Object:
    """A volume where a container finds it."""
    return {"name": name, "mountPath": path, **more}


def selected(name: str) -> Object:
    """The selector of pods of a part; Calico's label."""
    return {"matchLabels": {"k8s-app": name}}


def run_by(words: str, seconds: int, **more: int) -> Object:
    """A probe that runs a command of ours."""
    return {"exec": {"command": words.split()}, "timeoutSeconds": seconds, **more}


def tolerating_all() -> list[Object]:
    """Pods that have to be on every node, whatever else is kept from there."""
    return [
        {"effect": "NoSchedule", "operator": "Exists"},
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"effect": "NoExecute", "operator": "Exists"},
    ]


def tolerating_masters() -> list[Object]:
    """Pods that may run where a cluster has nothing else yet."""
    masters = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
    return [
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        *({"key": each, "effect": "NoSchedule"} for each in masters),
    ]


def dropped(**more: Any) -> Object:
    """A security context without any right of root's."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        **more,
    }


def name_of(made: Object) -> str:
    """What people call an object: "DaemonSet/calico-node"."""
    return f"{made['kind']}/{made['metadata']['name']}"


def kinds_of(made: Iterable[Object]) -> dict[str, int]:
    """How many there are of each kind, in their order."""
    found: dict[str, int] = {}
    for each in made:
        found[each["kind"]] = found.get(each["kind"], 0) + 1
    return found
