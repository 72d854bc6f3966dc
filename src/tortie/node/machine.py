"""This node as Kubernetes has it: what its Node says beyond our resources, and its conditions.

Asked of the API server directly, whatever the datastore is: a cluster that keeps its resources in
etcd runs on Kubernetes, too. Only small requests by name; nothing is listed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from tortie.datastore import NotFound
from tortie.datastore.kubernetes.access import Access
from tortie.datastore.kubernetes.client import Client, Refused, Request

_STRATEGIC = "application/strategic-merge-patch+json"  # conditions are merged by their type
_QPS, _BURST = 20.0, 20
UP = ("CalicoIsUp", "Calico is running on this node")
DOWN = ("CalicoIsDown", "Calico is shutting down on this node")


class _Spec(Struct, frozen=True):
    provider_id: str = field(default="", name="providerID")


class _Address(Struct, frozen=True):
    type: str = ""
    address: str = ""


class _Status(Struct, frozen=True):
    addresses: tuple[_Address, ...] = ()


class _Node(Struct, frozen=True):
    spec: _Spec = _Spec()
    status: _Status = _Status()


class _ConfigMap(Struct, frozen=True):
    data: Mapping[str, str] | None = None


class Machine(Struct, frozen=True):
    """`provider_id` such as "aws:///eu-west-1a/i-0abc"; `internal`: the InternalIPs."""

    provider_id: str
    internal: tuple[str, ...]


class Kubernetes:
    """Requests to the API server of this node's cluster. All raise DatastoreError."""

    def __init__(self, access: Access) -> None:
        self._client = Client(access, _QPS, _BURST)

    async def machine(self, node: str) -> Machine:
        """The Node. Raises NotFound."""
        found = msgspec.json.decode(await self._send(_about(node), _path(node)), type=_Node)
        internal = tuple(one.address for one in found.status.addresses if one.type == "InternalIP")
        return Machine(found.spec.provider_id, internal)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Its data; None where there is none."""
        path = f"/api/v1/namespaces/{quote(namespace)}/configmaps/{quote(name)}"
        try:
            body = await self._send(f"ConfigMap({namespace}/{name})", path)
        except NotFound:
            return None
        return msgspec.json.decode(body, type=_ConfigMap).data or {}

    async def network_unavailable(self, node: str, is_unavailable: bool) -> None:
        """Set the condition NetworkUnavailable, which keeps pods away while it is true."""
        status: Literal["True", "False"] = "True" if is_unavailable else "False"
        reason, message = DOWN if is_unavailable else UP
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "NetworkUnavailable",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": now,
            "lastHeartbeatTime": now,
        }
        body = msgspec.json.encode({"status": {"conditions": [condition]}})
        request = Request(_about(node), f"{_path(node)}/status", (), "PATCH", body, _STRATEGIC)
        await self._ask(request)

    async def close(self) -> None:
        """End its connections."""
        await self._client.close()

    async def _send(self, about: str, path: str) -> bytes:
        return await self._ask(Request(about, path))

    async def _ask(self, request: Request) -> bytes:
        try:
            return await self._client.send(request)
        except Refused as refused:
            raise refused.error from None


def _path(node: str) -> str:
    return f"/api/v1/nodes/{quote(node)}"


def _about(node: str) -> str:
    return f"Node({node})"
