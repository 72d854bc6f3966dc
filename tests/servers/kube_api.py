"""The tests' own hands at an API server: plain requests, without the code that is tested."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

SERVER_SIDE_APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"


class Refused(AssertionError):
    """The API server answered with an error; `status` is HTTP's, `body` its Status object."""

    def __init__(self, method: str, path: str, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{method} {path}: {status} {body.get('message', body)}")
        self.status = status
        self.body = body


class KubeApi:
    """Requests as one user. `token` or `certificate` (files of certificate and key) say who."""

    def __init__(
        self,
        endpoint: str,
        ca_file: Path,
        *,
        certificate: tuple[Path, Path] | None = None,
        token: str = "",
    ) -> None:
        trusted = ssl.create_default_context(cafile=str(ca_file))
        if certificate is not None:
            trusted.load_cert_chain(*certificate)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(
            base_url=endpoint, verify=trusted, headers=headers, timeout=30, trust_env=False
        )

    def __enter__(self) -> "KubeApi":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ready(self) -> bool:
        """Whether the server says that all of it has started."""
        try:
            return self._client.get("/readyz", timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    def answer(
        self, method: str, path: str, body: Any = None, *, content: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """The status and the object that come back for a request with `body` as JSON."""
        headers = {"Content-Type": content} if body is not None else {}
        found = self._client.request(method, path, json=body, headers=headers)
        return found.status_code, found.json() if found.content else {}

    def request(
        self, method: str, path: str, body: Any = None, *, content: str = "application/json"
    ) -> dict[str, Any]:
        """As `answer`, of a request that must succeed. Raises Refused."""
        status, found = self.answer(method, path, body, content=content)
        if status >= 400:
            raise Refused(method, path, status, found)
        return found

    def get(self, path: str) -> dict[str, Any]:
        """An object or a list."""
        return self.request("GET", path)

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Post an object where it belongs."""
        return self.request("POST", path_of(body), body)

    def apply(self, bodies: Iterable[dict[str, Any]]) -> None:
        """Create objects or change them to what `bodies` say (server-side apply)."""
        for body in bodies:
            path = f"{path_of(body)}/{body['metadata']['name']}?fieldManager=tests&force=true"
            self.request("PATCH", path, body, content=SERVER_SIDE_APPLY)

    def try_apply(self, body: dict[str, Any]) -> None:
        """Have an object judged, as `kubectl apply --validate=strict` does; write nothing."""
        strictly = "fieldManager=tests&force=true&fieldValidation=Strict&dryRun=All"
        path = f"{path_of(body)}/{body['metadata']['name']}?{strictly}"
        self.request("PATCH", path, body, content=SERVER_SIDE_APPLY)

    def delete(self, body: dict[str, Any]) -> None:
        """Remove an object."""
        self.request("DELETE", f"{path_of(body)}/{body['metadata']['name']}")


_PLURALS = {
    "CustomResourceDefinition": "customresourcedefinitions",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Endpoints": "endpoints",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
}


def path_of(body: dict[str, Any]) -> str:
    """Where objects of its kind and namespace are, such as "/api/v1/namespaces/shop/pods"."""
    group, name = body["apiVersion"], body["kind"]
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    namespace = body["metadata"].get("namespace")
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{within}/{_plural(name)}"


def _plural(kind: str) -> str:
    """As the API's own names go."""
    lower = kind.lower()
    if kind in _PLURALS:
        return _PLURALS[kind]
    if lower.endswith("y"):
        return f"{lower[:-1]}ies"
    return f"{lower}es" if lower.endswith("s") else f"{lower}s"
