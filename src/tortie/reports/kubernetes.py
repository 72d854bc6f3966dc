"""Reports in Kubernetes: a Lease for each daemon, as kubelets give their signs of life.

The report itself is an annotation of the Lease. One request says it anew (server-side apply), so
that neither a conflict nor a Lease that somebody deleted matters.
"""

import hashlib
from datetime import datetime

import msgspec
from msgspec import Struct

from tortie.datastore.contract import DatastoreError
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.places import segment
from tortie.reports.report import Report, decode, encode

_API = "coordination.k8s.io/v1"
LABEL = "projectcalico.org/report"
ANNOTATION = "projectcalico.org/report"
_PAGE = "500"


class _Meta(Struct, frozen=True, rename="camel"):
    annotations: dict[str, str] = {}
    continue_: str = msgspec.field(default="", name="continue")


class _Item(Struct, frozen=True):
    metadata: _Meta


class _Listed(Struct, frozen=True):
    metadata: _Meta
    items: tuple[_Item, ...] = ()


class KubernetesShelf:
    """Leases of `namespace`; those of all namespaces are read."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def put(self, report: Report) -> None:
        """See `Shelf.put`."""
        name = lease_name(report)
        path = f"/apis/{_API}/namespaces/{segment(self._namespace)}/leases/{segment(name)}"
        how = (("fieldManager", f"tortie-{report.component}"), ("force", "true"))
        body = msgspec.json.encode(_lease(report, name))
        about = f"Lease({self._namespace}/{name})"
        await self._sent(Request(about, path, how, "PATCH", body, "application/apply-patch+yaml"))

    async def all(self) -> list[Report]:
        """See `Shelf.all`."""
        found: list[Report] = []
        following = ""
        while True:
            how = [("labelSelector", LABEL), ("limit", _PAGE)]
            how += [("continue", following)] if following else []
            answer = await self._sent(Request("Leases", f"/apis/{_API}/leases", tuple(how)))
            try:
                listed = msgspec.json.decode(answer, type=_Listed)
            except msgspec.MsgspecError as error:
                raise DatastoreError(f"the list of Leases can't be read: {error}") from None
            texts = [item.metadata.annotations.get(ANNOTATION, "") for item in listed.items]
            found += [report for text in texts if (report := decode(text.encode()))]
            following = listed.metadata.continue_
            if not following:
                return found

    async def _sent(self, request: Request) -> bytes:
        try:
            return await self._client.send(request)
        except Refused as refused:
            raise refused.error from None


def lease_name(report: Report) -> str:
    """A name that Kubernetes takes, whatever the node's: `calico-agent-<node>`, cut if too long."""
    name = f"calico-{report.component}-{report.node}"
    if len(name) <= 253:
        return name
    return f"{name[:220]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _lease(report: Report, name: str) -> dict[str, object]:
    said = datetime.fromisoformat(report.at)
    return {
        "apiVersion": _API,
        "kind": "Lease",
        "metadata": {
            "name": name,
            "labels": {LABEL: report.component},
            "annotations": {ANNOTATION: encode(report).decode()},
        },
        "spec": {
            "holderIdentity": report.node,
            "leaseDurationSeconds": max(1, round(report.seconds)),
            "renewTime": said.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
