"""The controllers' Deployment: one pod, and another only once it is gone."""

from tortie.install.manifests.choices import Choices
from tortie.install.manifests.environment import datastore, datastore_mounts, datastore_volumes
from tortie.install.manifests.objects import (
    LINUX,
    Object,
    dropped,
    field_of,
    of_namespace,
    selected,
    tolerating_masters,
)

_NAME = "calico-kube-controllers"
_HEALTH = 9440
_USER = 10001


def controllers(made: Choices) -> list[Object]:
    """All of it."""
    return [_budget(), _deployment(made)]


def _budget() -> Object:
    head = of_namespace("PodDisruptionBudget", _NAME, "policy/v1", k8s_app=_NAME)
    return {**head, "spec": {"maxUnavailable": 1, "selector": selected(_NAME)}}


def _deployment(made: Choices) -> Object:
    spec = {
        "replicas": 1,
        "revisionHistoryLimit": 2,
        "selector": selected(_NAME),
        "strategy": {"type": "Recreate"},
        "template": {"metadata": {"labels": {"k8s-app": _NAME}}, "spec": _pod(made)},
    }
    return {**of_namespace("Deployment", _NAME, "apps/v1", k8s_app=_NAME), "spec": spec}


def _pod(made: Choices) -> Object:
    volumes = datastore_volumes(made)
    return {
        "nodeSelector": LINUX,
        "tolerations": tolerating_masters(),
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "fsGroup": _USER},
        "containers": [_container(made)],
        **({"volumes": volumes} if volumes else {}),
    }


def _container(made: Choices) -> Object:
    mounts = datastore_mounts(made)
    return {
        "name": _NAME,
        "image": made.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["tortie", "controllers", "--host", "0.0.0.0"],
        "env": [*datastore(made), field_of("POD_NAMESPACE", "metadata.namespace")],
        "securityContext": dropped(),
        "resources": {"requests": {"cpu": "50m", "memory": "80Mi"}},
        "livenessProbe": _probe("/liveness", 30),
        "readinessProbe": _probe("/readiness", 10),
        **({"volumeMounts": mounts} if mounts else {}),
    }


def _probe(path: str, seconds: int) -> Object:
    return {
        "httpGet": {"path": path, "port": _HEALTH},
        "periodSeconds": seconds,
        "timeoutSeconds": 10,
    }
