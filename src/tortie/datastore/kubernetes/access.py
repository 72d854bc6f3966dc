"""Where the API server is and who we are: a kubeconfig, the pod's own account, or single values."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from tortie.datastore.contract import DatastoreError
from tortie.datastore.settings import KubernetesSettings, without_user

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Plugin(Struct, frozen=True, kw_only=True):
    """A program that gives credentials (client.authentication.k8s.io), run without a shell."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    api_version: str = "client.authentication.k8s.io/v1"
    folder: str = ""  # of the kubeconfig: a relative path starts here
    provide_cluster: bool = False
    hint: str = ""

    def __repr__(self) -> str:
        return f"Plugin({self.command})"  # arguments and environment may hold secrets


class Access(Struct, frozen=True, kw_only=True):
    """One way to one API server. `identity` is what an error calls us: never a secret."""

    server: str
    identity: str = "nobody: no credentials are configured"
    origin: str = "the settings"
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: str = ""
    plugin: Plugin | None = None
    username: str = ""
    password: str = ""
    insecure: bool = False
    tls_name: str = ""
    proxy: str = ""
    namespace: str = ""

    def __repr__(self) -> str:
        return f"Access({self.server}, {self.identity})"


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
        from tortie.datastore.kubernetes.kubeconfig import read_kubeconfig

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


def read_bytes(path: Path, whose: str) -> bytes:
    """A file that configuration names. Raises DatastoreError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatastoreError(f"{whose} {path} can't be read: {error.strerror}") from None


def checked(access: Access) -> Access:
    """The same, if its address can be one. Raises DatastoreError."""
    wrong = f"{access.origin}: {without_user(access.server)!r} is no API server's address"
    try:
        parts = urlsplit(access.server if "://" in access.server else f"https://{access.server}")
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = None
    if not good:
        raise DatastoreError(f"{wrong}: write it as https://HOST:PORT")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise DatastoreError(f"{access.origin}: the API server's address can only have a path")
    if access.proxy and not access.proxy.startswith(("http://", "https://")):
        raise DatastoreError(f"{access.origin}: proxy-url must begin with http:// or https://")
    secret = access.token or access.token_file or access.plugin or access.username
    if (
        parts.scheme == "http"
        and secret
        and parts.hostname not in ("127.0.0.1", "::1", "localhost")
    ):
        raise DatastoreError(f"{wrong} to send credentials to: it is not encrypted, use https://")
    token = access.token.strip()
    if not is_token(token):
        raise DatastoreError(f"{access.identity} has characters that no token has")
    return replace(access, server=parts.geturl().rstrip("/"), token=token)


def is_token(text: str) -> bool:
    """Whether a header can hold it; else the error that says so would show it."""
    return text.isascii() and (not text or text.isprintable())
