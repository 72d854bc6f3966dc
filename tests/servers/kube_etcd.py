"""An API server's objects where it keeps them: in etcd, under `/registry/<resource>/`.

What the API has no request for is done here: everything gone at once, history forgotten.
"""

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import httpx

from servers.kube_api import KubeApi

_ROOT = "/registry/"
_MOST_OPERATIONS = 100  # etcd takes 128 a transaction
_KEPT = (
    *("apiregistration.k8s.io/", "apiextensions.k8s.io/", "flowschemas/", "masterleases/"),
    *("clusterrolebindings/", "clusterroles/", "rolebindings/", "roles/", "leases/"),
    *("priorityclasses/", "prioritylevelconfigurations/", "ranges/", "configmaps/kube-system/"),
    *(f"namespaces/{name}" for name in ("default", "kube-system", "kube-public")),
    *("namespaces/kube-node-lease", "services/specs/default/kubernetes", "servicecidrs/"),
)


class Registry:
    """etcd as its gateway for JSON shows it."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def wipe(self, api: KubeApi, seconds: float = 10.0) -> None:
        """Remove what a new server has not; wait until the server has noticed."""
        gone = [key for key in self.keys() if not key[len(_ROOT) :].startswith(_KEPT)]
        for some in _parts(gone, _MOST_OPERATIONS):
            removals = [{"requestDeleteRange": {"key": _encoded(key)}} for key in some]
            self._call("kv/txn", {"success": removals})
        deadline = time.monotonic() + seconds
        for path in sorted({_cached_list(key) for key in gone} - {""}):
            while _remains(api, path) and time.monotonic() < deadline:
                time.sleep(0.005)

    def keys(self) -> list[str]:
        """All keys of the API server."""
        asked = {"key": _encoded(_ROOT), "range_end": _encoded("/registry0"), "keys_only": True}
        found = self._call("kv/range", asked).get("kvs", [])
        return [base64.b64decode(each["key"]).decode() for each in found]

    def change(self, key: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Write what `change` makes of the JSON object at `/registry/<key>`."""
        (found,) = self._call("kv/range", {"key": _encoded(_ROOT + key)})["kvs"]
        value = json.loads(base64.b64decode(found["value"]))
        change(value)
        self._call("kv/put", {"key": _encoded(_ROOT + key), "value": _encoded(json.dumps(value))})

    def revision(self) -> int:
        """etcd's revision of its last write."""
        found = self._call("kv/range", {"key": _encoded(_ROOT)})
        return int(found["header"]["revision"])

    def compact(self) -> None:
        """Forget all history up to now."""
        self._call("kv/compaction", {"revision": self.revision(), "physical": True})

    def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(f"{self._endpoint}/v3/{method}", json=body, timeout=30, trust_env=False)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def _encoded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _parts(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(keys)
    while some := list(islice(left, size)):
        yield some


_CORE = {"pods": "pods", "namespaces": "namespaces", "serviceaccounts": "serviceaccounts"}
_CORE |= {"minions": "nodes", "services": "services", "configmaps": "configmaps"}
_GROUPS = {
    "networkpolicies": "networking.k8s.io/v1",
    "endpointslices": "discovery.k8s.io/v1",
}
_VERSIONS = {"crd.projectcalico.org": ("v1",), "projectcalico.org": ("v3",)}
_VERSIONS |= {"policy.networking.k8s.io": ("v1alpha1", "v1alpha2")}


def _cached_list(key: str) -> str:
    """Where the server lists objects of the key's kind from its memory; "" for kinds of others."""
    first, second, *_ = key[len(_ROOT) :].split("/")
    if first in _CORE:
        return f"/api/v1/{_CORE[first]}"
    if first in _GROUPS:
        return f"/apis/{_GROUPS[first]}/{first}"
    if first in _VERSIONS:
        newest = {"clusternetworkpolicies": -1}.get(second, 0)
        return f"/apis/{first}/{_VERSIONS[first][newest]}/{second}"
    return ""


def _remains(api: KubeApi, path: str) -> bool:
    """Whether the server's memory still has objects that were removed."""
    status, found = api.answer("GET", f"{path}?resourceVersion=0")
    if status != 200:
        return False
    names = [item["metadata"]["name"] for item in found["items"]]
    return any(not _is_kept(path, name) for name in names)


def _is_kept(path: str, name: str) -> bool:
    if path == "/api/v1/namespaces":
        return name == "default" or name.startswith("kube-")
    return (path, name) == ("/api/v1/services", "kubernetes") or path.endswith("/configmaps")
