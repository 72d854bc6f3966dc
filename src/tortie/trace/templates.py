"""Workloads of manifests that no API of ours knows: what a Deployment would run, as one Pod.

`trace -f` is asked of what people have in their repositories, which are Deployments rather than
Pods. Each gives the pod of its template, under its own name.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tortie.api import ObjectMeta, Pod
from tortie.api.kube.pod import PodSpec

_TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("", "ReplicationController"): ("spec", "template"),
}
WORKLOADS = frozenset(_TEMPLATES)
"""Groups and kinds of what runs pods; versions differ in nothing that counts here."""


def is_workload(manifest: Any) -> bool:
    """Whether a manifest is one of these."""
    return isinstance(manifest, dict) and _kind(manifest) in _TEMPLATES


def _kind(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return str(manifest.get("apiVersion")).rpartition("/")[0], str(manifest.get("kind"))


def pod_of(workload: Mapping[str, Any], namespace: str) -> Pod:
    """The pod of its template; `namespace` is for one without.

    Raises ValueError with the workload and what is wrong in its template.
    """
    metadata = workload.get("metadata") or {}
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    title = f"{workload['kind']} {name}"
    template: Any = workload
    for step in _TEMPLATES[_kind(workload)]:
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
