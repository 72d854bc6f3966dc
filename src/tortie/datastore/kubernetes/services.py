"""Kubernetes' Services: read as they are; of them we write who balances their load. Pure.

A Service's addresses stand in `status.loadBalancer`, and why it has none in `status.conditions`.
Both are whole lists to a merge patch, which therefore names the revision that it was made from.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from tortie.api import Resource
from tortie.api.kube.service import Service
from tortie.datastore.contract import Invalid
from tortie.datastore.kubernetes.forms import (
    MERGE_PATCH,
    CoreForm,
    Write,
    comparable,
    difference,
    lean,
)

_OURS = ("loadBalancer", "conditions")  # of the status; nobody else writes a Service's status


class ServiceForm(CoreForm):
    """A Service: its status can be changed, and Calico's annotations."""

    def __init__(self) -> None:
        super().__init__("Service")

    def changed(self, stored: bytes, resource: Resource, revision: str) -> Write | None:
        """See `Form.changed`. What is sent goes to /status."""
        assert isinstance(resource, Service)
        before = lean(msgspec.json.decode(stored, type=Service))
        if _rest(before) != _rest(resource):
            raise Invalid(
                f"{resource.key}: only its status and annotations of projectcalico.org can be "
                "changed here; change the rest with kubectl"
            )
        status = _changes(_status(before), _status(resource))
        annotations = difference(before.metadata.annotations, resource.metadata.annotations)
        if not status and not annotations:
            return None
        metadata: dict[str, Any] = {"resourceVersion": revision, "uid": before.metadata.uid}
        if annotations:
            metadata["annotations"] = annotations
        body = {"metadata": metadata, **({"status": status} if status else {})}
        return Write("PATCH", msgspec.json.encode(body), MERGE_PATCH)


def _rest(service: Service) -> Service:
    return comparable(replace(service, status=None))


def _status(service: Service) -> dict[str, Any]:
    return service.status if isinstance(service.status, dict) else {}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """None removes. `loadBalancer` has one list, which is replaced as a whole."""
    return {
        name: _whole(name, after.get(name))
        for name in _OURS
        if (before.get(name) or None) != (after.get(name) or None)
    }


def _whole(name: str, value: Any) -> Any:
    return {"ingress": None, **(value or {})} if name == "loadBalancer" else value or None
