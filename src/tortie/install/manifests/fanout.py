"""The fan-out's servers: Deployment, Service, and how many may be away at once."""

from tortie.install.manifests.choices import Choices
from tortie.install.manifests.environment import (
    AUTHORITY_FILE,
    CLIENT_NAME,
    SERVER_CERTIFICATES,
    TLS_FOLDER,
    datastore,
    tls_mounts,
    tls_volumes,
)
from tortie.install.manifests.objects import (
    LINUX,
    Object,
    dropped,
    of_namespace,
    selected,
    tolerating_all,
    values,
)

_NAME = "calico-typha"
_PORT = 5473
_HEALTH = 9098
_USER = 10001
_GRACE = 330  # seconds: above TYPHA_SHUTDOWNTIMEOUTSECS
_SETTINGS = {
    "TYPHA_HEALTHENABLED": "true",
    "TYPHA_HEALTHHOST": "localhost",
    "TYPHA_HEALTHPORT": str(_HEALTH),
    "TYPHA_CONNECTIONREBALANCINGMODE": "kubernetes",
    "TYPHA_CAFILE": f"{TLS_FOLDER}/{AUTHORITY_FILE}",
    "TYPHA_SERVERCERTFILE": f"{TLS_FOLDER}/tls.crt",
    "TYPHA_SERVERKEYFILE": f"{TLS_FOLDER}/tls.key",
    "TYPHA_CLIENTCN": CLIENT_NAME,
}


def fanout(made: Choices) -> list[Object]:
    """All of it; nothing where there are to be no servers."""
    return [_service(), _budget(), _deployment(made)] if made.typha else []


def _service() -> Object:
    port = {"port": _PORT, "protocol": "TCP", "targetPort": _NAME, "name": _NAME}
    head = of_namespace("Service", _NAME, k8s_app=_NAME)
    return {**head, "spec": {"ports": [port], "selector": {"k8s-app": _NAME}}}


def _budget() -> Object:
    head = of_namespace("PodDisruptionBudget", _NAME, "policy/v1", k8s_app=_NAME)
    return {**head, "spec": {"maxUnavailable": 1, "selector": selected(_NAME)}}


def _deployment(made: Choices) -> Object:
    spec = {
        "replicas": made.typha,
        "revisionHistoryLimit": 2,
        "selector": selected(_NAME),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": {"metadata": {"labels": {"k8s-app": _NAME}}, "spec": _pod(made)},
    }
    return {**of_namespace("Deployment", _NAME, "apps/v1", k8s_app=_NAME), "spec": spec}


def _pod(made: Choices) -> Object:
    """On the nodes' own network: agents need it before there is any other."""
    apart = {"labelSelector": selected(_NAME), "topologyKey": "kubernetes.io/hostname"}
    affinity = {
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": apart}]
    }
    return {
        "nodeSelector": LINUX,
        "hostNetwork": True,
        "tolerations": tolerating_all(),
        "affinity": {"podAntiAffinity": affinity},
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": _GRACE,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "fsGroup": _USER},
        "containers": [_container(made)],
        "volumes": tls_volumes(made, SERVER_CERTIFICATES),
    }


def _container(made: Choices) -> Object:
    return {
        "name": _NAME,
        "image": made.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["tortie", "fanout"],
        "ports": [{"containerPort": _PORT, "name": _NAME, "protocol": "TCP"}],
        "env": [*datastore(made), *values(_SETTINGS)],
        "securityContext": dropped(),
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "livenessProbe": _probe("/liveness", 30),
        "readinessProbe": _probe("/readiness", 10),
        "volumeMounts": tls_mounts(made),
    }


def _probe(path: str, seconds: int) -> Object:
    page = {"path": path, "port": _HEALTH, "host": "localhost"}
    return {"httpGet": page, "periodSeconds": seconds, "timeoutSeconds": 10}
