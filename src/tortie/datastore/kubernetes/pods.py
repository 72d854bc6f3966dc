"""Kubernetes' Pods: read as they are; we write Calico's annotations and one condition. Pure.

The condition tells of further interfaces (`tortie.kubernetes.interfaces`). The others of the list
are the kubelet's and other people's: so it is sent as a patch that knows the list's items by type.
"""

from typing import Any

import msgspec

from tortie.api import Pod, Resource
from tortie.datastore.contract import Invalid
from tortie.datastore.kubernetes.forms import (
    CoreForm,
    Write,
    annotate,
    comparable,
    difference,
    lean,
)
from tortie.kubernetes.interfaces import further_condition, without_further
from tortie.kubernetes.names import FURTHER_INTERFACES

_BY_TYPE_PATCH = "application/strategic-merge-patch+json"


class PodForm(CoreForm):
    """A Pod: annotations and the condition can be changed."""

    def __init__(self) -> None:
        super().__init__("Pod")

    def changed(self, stored: bytes, resource: Resource, revision: str) -> Write | None:
        """See `Form.changed`. What is sent goes to /status."""
        assert isinstance(resource, Pod)
        before = lean(msgspec.json.decode(stored, type=Pod))
        if _rest(before) != _rest(resource):
            raise Invalid(
                f"{resource.key}: only annotations of projectcalico.org and the condition "
                f"{FURTHER_INTERFACES} can be changed here; change the rest with kubectl"
            )
        annotations = difference(before.metadata.annotations, resource.metadata.annotations)
        condition = _change(before, resource)
        if condition is None:
            return annotate(before.metadata, annotations, revision)
        about = {
            "annotations": annotations,
            "resourceVersion": revision,
            "uid": before.metadata.uid,
        }
        body = {"metadata": about, "status": {"conditions": [condition]}}
        return Write("PATCH", msgspec.json.encode(body), _BY_TYPE_PATCH)


def _rest(pod: Pod) -> Pod:
    return comparable(without_further(pod))


def _change(before: Pod, after: Pod) -> dict[str, Any] | None:
    """What makes the one condition into the other; None: nothing."""
    found, wanted = further_condition(before), further_condition(after)
    if wanted is None:
        gone = {"$patch": "delete", "type": FURTHER_INTERFACES}
        return gone if found is not None else None
    known = {name: found.get(name) for name in wanted} if found is not None else {}
    return None if known == wanted else dict(wanted)
