"""What every resource has: its kind, its key and its metadata."""

from typing import Any, ClassVar, NamedTuple

from msgspec import Struct


class Key(NamedTuple):
    """Which object: `kind` as in the registry, `namespace` empty for cluster-wide kinds.

    Kinds whose name two API groups share have distinct names here: `NetworkPolicy` is
    `projectcalico.org/v3`, `KubernetesNetworkPolicy` is `networking.k8s.io/v1`. Kubernetes' admin
    policies have the prefix too, as Calico has it, since equal orders go by name and kind.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}({'/'.join(filter(None, (self.namespace, self.name)))})"


class ObjectMeta(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Names, labels and bookkeeping, as in Kubernetes' ObjectMeta.

    What stands below `deletion_timestamp` is kept as it came and never looked at.
    """

    name: str = ""
    """The object's name, unique among its kind (and in its namespace); can't be changed."""
    namespace: str = ""
    """The namespace that it is in; absent for cluster-wide kinds."""
    labels: dict[str, str] = {}
    """Labels, which selectors look at."""
    annotations: dict[str, str] = {}
    """Notes for people and programs, at most 256 KiB in all."""
    uid: str = ""
    """Tells the object from others that had its name before; given by the datastore."""
    resource_version: str = ""
    """Changes with every write; an update that names an older one is refused."""
    creation_timestamp: str | None = None
    """When it was created; given by the datastore."""
    deletion_timestamp: str | None = None
    """When its deletion was asked for, while somebody still has to clean up."""
    generate_name: Any = None
    generation: Any = None
    finalizers: Any = None
    owner_references: Any = None
    managed_fields: Any = None
    self_link: Any = None
    deletion_grace_period_seconds: Any = None


class Resource(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The base of all kinds. Subclasses set `api_version` and `kind`, and add `spec`."""

    api_version: ClassVar[str]
    kind: ClassVar[str]  # the name in the registry

    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> Key:
        """The key under which every datastore keeps this object."""
        return Key(self.kind, self.metadata.namespace, self.metadata.name)
