"""Workloads of manifests that no API of ours knows: what a Deployment would run, as one Pod.

`trace -f` is asked of what people have in their repositories, which are Deployments rather than
Pods. Each gives the pod of its template, under its own name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tortie.api import ObjectMeta, Pod
from tortie.api.kube.pod import PodSpec

_TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps/v1", "Deployment"): ("spec", "template"),
    ("apps/v1", "StatefulSet"): ("spec", "template"),
    ("apps/v1", "DaemonSet"): ("spec", "template"),
    ("apps/v1", "ReplicaSet"): ("spec", "template"),
    ("batch/v1", "Job"): ("spec", "template"),
    ("batch/v1", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("v1", "ReplicationController"): ("spec", "template"),
}


def is_workload(document: Any) -> bool:
    """Whether a document is one of these, or a List with one in it."""
    return any(True for _ in _workloads(document))


def pods_of(document: Any, namespace: str) -> Iterator[Pod]:
    """The pods of a document's templates; `namespace` is for those without one.

    Raises ValueError with the workload and what is wrong in its template.
    """
    for found in _workloads(document):
        yield _pod(found, namespace)


def _workloads(document: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, dict):
        return
    if document.get("kind") == "List" and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _workloads(item)
    elif (document.get("apiVersion"), document.get("kind")) in _TEMPLATES:
        yield document


def _pod(workload: Mapping[str, Any], namespace: str) -> Pod:
    metadata = workload.get("metadata") or {}
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    title = f"{workload['kind']} {name}"
    template: Any = workload
    for step in _TEMPLATES[workload["apiVersion"], workload["kind"]]:
        template = template.get(step) if isinstance(template, dict) else None
    if not name or not isinstance(template, dict):
        raise ValueError(f"{title}: it needs metadata.name and a template of a pod")
    try:
        spec = msgspec.convert(template.get("spec") or {}, PodSpec)
        labels = (template.get("metadata") or {}).get("labels") or {}
        meta = {"name": name, "namespace": metadata.get("namespace") or namespace}
        return Pod(metadata=msgspec.convert({**meta, "labels": labels}, ObjectMeta), spec=spec)
    except msgspec.ValidationError as error:
        raise ValueError(f"{title}: its template: {error}") from None
