"""How to reach a datastore, as typed values; `tortie.datastore.configuration` reads them.

Certificates and keys are PEM in memory, whether they came from files or inline, so that one place
reads files and names the variable that was wrong.
"""

import re

from msgspec import Struct

CRD_V1 = "crd.projectcalico.org/v1"
CRD_V3 = "projectcalico.org/v3"


def without_user(address: str) -> str:
    """An address for people: there may be a password in it, though none belongs there."""
    return re.sub(r"//.*@", "//...@", address)


class SqliteSettings(Struct, frozen=True, kw_only=True):
    """One file, for everything on one machine."""

    path: str


class MemorySettings(Struct, frozen=True):
    """Nothing is kept; for tests and dry runs."""


class EtcdSettings(Struct, frozen=True, kw_only=True):
    """etcd v3. All `endpoints` have one scheme; TLS is used where it is https."""

    endpoints: tuple[str, ...]  # "http(s)://host:port", tried in turn
    username: str = ""
    password: str = ""
    ca: bytes = b""  # empty: the system's authorities
    certificate: bytes = b""
    key: bytes = b""

    def __repr__(self) -> str:
        shown = ", ".join(map(without_user, self.endpoints))  # never a password or key
        return f"EtcdSettings({shown})"


class KubernetesSettings(Struct, frozen=True, kw_only=True):
    """The Kubernetes API: a kubeconfig, or the pod's own account, with single values over it.

    No `kubeconfig`, no `kubeconfig_text` and no `api_endpoint`: the configuration in the pod.
    """

    kubeconfig: str = ""  # a path
    kubeconfig_text: str = ""  # or the text itself
    context: str = ""  # of the kubeconfig; empty: its current-context
    api_endpoint: str = ""
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    insecure_skip_tls_verify: bool = False
    qps: float = 50.0  # requests a second, with bursts of `burst`; watches count once
    burst: int = 100
    use_pod_cidr: bool = False
    api_group: str = CRD_V1  # CRD_V1 or CRD_V3

    def __repr__(self) -> str:
        shown = without_user(self.api_endpoint) or self.kubeconfig or "in the pod"
        return f"KubernetesSettings({shown})"


DatastoreSettings = SqliteSettings | MemorySettings | EtcdSettings | KubernetesSettings


def name_of(settings: DatastoreSettings) -> str:
    """What to call it to a person, in the words of `--datastore`; without secrets."""
    match settings:
        case SqliteSettings(path=path):
            return f"sqlite:{path}"
        case MemorySettings():
            return "memory:"
        case EtcdSettings(endpoints=endpoints):
            return f"etcd:{','.join(endpoints)}"
        case KubernetesSettings():
            return f"kubernetes:{settings.api_endpoint or settings.kubeconfig}"
