"""Where the API server is and who we are: a kubeconfig, the pod's own account, or single values."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from tortie.datastore.contract import DatastoreError
from tortie.datastore.kubernetes.access import Access, checked, read_bytes
from tortie.datastore.kubernetes.kubeconfig import read_kubeconfig
from tortie.datastore.settings import KubernetesSettings

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def find_access(
    settings: KubernetesSettings,
    account: Path = ACCOUNT,
    environment: Mapping[str, str] = os.environ,
) -> Access:
    """The access that the settings describe. Raises DatastoreError for what can never work."""
    access = _source(settings, account, environment)
    if settings.ca:
        access = replace(access, ca=settings.ca)
    if settings.certificate or settings.key:
        if not (settings.certificate and settings.key):
            missing = "K8S_KEY_FILE" if settings.certificate else "K8S_CERT_FILE"
            raise DatastoreError(f"a client certificate needs its key and the other way: {missing}")
        access = replace(
            access,
            certificate=settings.certificate,
            key=settings.key,
            identity="the client certificate of K8S_CERT_FILE",
        )
    if settings.token:
        access = replace(
            access, token=settings.token, token_file="", plugin=None, identity="the given token"
        )
    if settings.insecure_skip_tls_verify:
        access = replace(access, insecure=True)
    return checked(access)


def _source(settings: KubernetesSettings, account: Path, environment: Mapping[str, str]) -> Access:
    if settings.kubeconfig or settings.kubeconfig_text:
        found = read_kubeconfig(settings.kubeconfig, settings.kubeconfig_text, settings.context)
        endpoint = settings.api_endpoint
        return replace(found, server=endpoint, origin="K8S_API_ENDPOINT") if endpoint else found
    if settings.api_endpoint:
        return Access(server=settings.api_endpoint, origin="K8S_API_ENDPOINT")
    return in_cluster(account, environment)


def in_cluster(account: Path, environment: Mapping[str, str]) -> Access:
    """The configuration that Kubernetes puts into every pod. Raises DatastoreError outside."""
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    port = environment.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise DatastoreError(
            "no API server is configured: give a kubeconfig (KUBECONFIG) or K8S_API_ENDPOINT; "
            "inside a pod KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be set"
        )
    token, ca = account / "token", account / "ca.crt"
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        origin="KUBERNETES_SERVICE_HOST",
        identity=f"the service account token {token}",
        ca=read_bytes(ca, "the service account's"),
        token_file=str(token),
        namespace=_namespace(account / "namespace"),
    )


def _namespace(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
