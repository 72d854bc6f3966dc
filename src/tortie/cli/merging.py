"""What becomes of a stored object when a manifest of it is applied. Pure.

A manifest is the whole of what a person says, so it replaces the object; but what the system has
recorded on the object is not the person's to erase by leaving it out.
"""

from typing import TypeVar

from msgspec.structs import replace

from tortie.api import Namespace, Pod, Resource, with_metadata

R = TypeVar("R", bound=Resource)
_RECORDED = "cni.projectcalico.org/"  # annotations by which the CNI plugin records addresses
_RECORDED_NAMES = frozenset(_RECORDED + name for name in ("podIP", "podIPs", "containerID"))
_NAME_LABEL = "kubernetes.io/metadata.name"


def admitted(resource: R) -> R:
    """The object as an API server takes it in: a namespace is labelled with its own name."""
    if not isinstance(resource, Namespace):
        return resource
    labels = {**resource.metadata.labels, _NAME_LABEL: resource.metadata.name}
    return with_metadata(resource, labels=labels)


def merged(stored: Resource, given: Resource) -> Resource:
    """What to store for `given` over `stored`, of one kind.

    A resourceVersion in the manifest stays: the write then fails if the object has moved on.
    """
    version = given.metadata.resource_version or stored.metadata.resource_version
    result = with_metadata(
        given,
        uid=stored.metadata.uid,
        creation_timestamp=stored.metadata.creation_timestamp,
        resource_version=version,
        annotations={**_recorded(stored), **given.metadata.annotations},
    )
    if getattr(given, "status", None) is None and getattr(stored, "status", None) is not None:
        result = replace(result, status=stored.status)  # type: ignore[attr-defined]
    if isinstance(result, Pod) and isinstance(stored, Pod) and not result.spec.node_name:
        result = replace(result, spec=replace(result.spec, node_name=stored.spec.node_name))
    return result


def without_bookkeeping(resource: R) -> R:
    """The resource without what the datastore writes into it."""
    return with_metadata(resource, uid="", resource_version="", creation_timestamp=None)


def exported(resource: R) -> R:
    """The resource without what belongs to this cluster and this moment, to be applied to others.

    As calicoctl's `--export`: identity, version, times, owners and status go; of a Pod also its
    node and its addresses.
    """
    result = with_metadata(
        without_bookkeeping(resource),
        deletion_timestamp=None,
        deletion_grace_period_seconds=None,
        generation=None,
        owner_references=None,
        managed_fields=None,
        self_link=None,
    )
    if getattr(result, "status", None) is not None:
        result = replace(result, status=None)
    if isinstance(result, Pod):
        annotations = dict(result.metadata.annotations)
        for name in _RECORDED_NAMES:
            annotations.pop(name, None)
        result = with_metadata(result, annotations=annotations)
        result = replace(result, spec=replace(result.spec, node_name=""))
    return result


def _recorded(stored: Resource) -> dict[str, str]:
    if not isinstance(stored, Pod):
        return {}
    annotations = stored.metadata.annotations
    return {name: annotations[name] for name in annotations.keys() & _RECORDED_NAMES}
