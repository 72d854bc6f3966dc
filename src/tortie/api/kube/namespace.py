"""Kubernetes' Namespace."""

from tortie.api.fields import Fields, Unused
from tortie.api.meta import Resource


class NamespaceSpec(Fields, frozen=True, kw_only=True):
    """What Kubernetes keeps of a namespace."""

    finalizers: Unused = None


class NamespaceStatus(Fields, frozen=True, kw_only=True):
    """Whether the namespace is in use or ends."""

    phase: Unused = None
    conditions: Unused = None


class Namespace(Resource, frozen=True, kw_only=True):
    """A namespace: its labels are what namespace selectors look at."""

    api_version = "v1"
    kind = "Namespace"

    spec: NamespaceSpec | None = None
    status: NamespaceStatus | None = None
