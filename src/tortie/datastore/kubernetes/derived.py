"""WorkloadEndpoints and Profiles: not stored in Kubernetes, they follow from others. Pure."""

import re

import msgspec
from msgspec.structs import replace

from tortie.api import KINDS, Key, Namespace, Pod, Resource, ServiceAccount, WorkloadEndpoint
from tortie.datastore.contract import DatastoreError, Invalid, NotFound
from tortie.datastore.kubernetes.forms import Write, annotate, difference, lean, refuse
from tortie.kubernetes import names
from tortie.kubernetes.interfaces import further_interfaces
from tortie.kubernetes.pods import convert_pod
from tortie.kubernetes.profiles import convert_namespace, convert_service_account

DERIVED = {
    "WorkloadEndpoint": frozenset({"Pod"}),
    "Profile": frozenset({"Namespace", "ServiceAccount"}),
}
"""Each kind that is not stored, and what it follows from."""


class EndpointForm:
    """A Pod as its endpoints; of its first one, addresses and container can be written."""

    strict = True

    @property
    def wire(self) -> type[Resource]:
        """See `Form.wire`."""
        return KINDS["Pod"].type

    def read(self, item: Pod) -> Resource | None:
        """See `Form.read`: the first of them."""
        return next(iter(self.read_all(item)), None)

    def read_all(self, item: Pod) -> tuple[Resource, ...]:
        """One for each interface of the pod."""
        return convert_pod(item)[0]

    def keys(self, item: Pod) -> tuple[Key, ...]:
        """All endpoints that a Pod has, or may have had before; none where it never had one."""
        node, about = item.spec.node_name, item.metadata
        if not node or item.spec.host_network:
            return ()
        ends = (names.ENDPOINT, *further_interfaces(item))
        found = (names.wep_name(node, names.ORCHESTRATOR, about.name, end) for end in ends)
        return tuple(Key("WorkloadEndpoint", about.namespace, name) for name in found)

    def new(self, resource: Resource) -> bytes:
        """An endpoint comes to be with its Pod."""
        raise refuse(str(resource.key), "its Pod, and there is none")

    def changed(self, stored: bytes, resource: Resource, revision: str) -> Write | None:
        """See `Form.changed`. Addresses and container become annotations of the Pod."""
        assert isinstance(resource, WorkloadEndpoint)
        pod = lean(msgspec.json.decode(stored, type=Pod))
        before = self.read(pod)
        assert before is None or isinstance(before, WorkloadEndpoint)
        if resource.spec.endpoint != names.ENDPOINT:
            raise Invalid(
                f"{resource.key} is a further interface of a Pod: its node alone tells of it"
            )
        if before is None or _without_place(before) != _without_place(resource):
            raise Invalid(
                f"{resource.key} is a Pod: only its addresses and containerID can be written here"
            )
        addresses = [text.partition("/")[0] for text in resource.spec.ip_networks]
        wanted = {
            **pod.metadata.annotations,
            names.POD_IP: addresses[0] if addresses else "",
            names.POD_IPS: ",".join(addresses),
            names.CONTAINER_ID: resource.spec.container_id,
        }
        changes = difference(pod.metadata.annotations, wanted)
        return annotate(pod.metadata, changes, revision)


def _without_place(endpoint: WorkloadEndpoint) -> WorkloadEndpoint:
    spec = replace(endpoint.spec, ip_networks=(), container_id="", ip_nats=())
    metadata = replace(endpoint.metadata, resource_version="", uid="", creation_timestamp=None)
    return replace(endpoint, spec=spec, metadata=metadata)


class ProfileForm:
    """A Namespace or a ServiceAccount as its Profile."""

    strict = True

    def __init__(self, source: str) -> None:
        self._source = source

    @property
    def wire(self) -> type[Resource]:
        """See `Form.wire`."""
        return KINDS[self._source].type

    def read(self, item: Namespace | ServiceAccount) -> Resource | None:
        """See `Form.read`."""
        found = (
            convert_namespace(item)
            if isinstance(item, Namespace)
            else convert_service_account(item)
        )
        # One number, as all revisions of a store are: a Profile here has one source only.
        version = found.metadata.resource_version.strip("/")
        return replace(found, metadata=replace(found.metadata, resource_version=version))

    def new(self, resource: Resource) -> bytes:
        """A Profile comes to be with its source."""
        raise self._refusal(resource)

    def changed(self, _stored: bytes, resource: Resource, _revision: str) -> Write | None:
        """A Profile changes with its source."""
        raise self._refusal(resource)

    def _refusal(self, resource: Resource) -> DatastoreError:
        return refuse(str(resource.key), "a Namespace (kns.) or ServiceAccount (ksa.)")


def source_key(key: Key) -> Key:
    """The object that a derived one of this key would follow from. Raises NotFound."""
    found = _pod_key(key) if key.kind == "WorkloadEndpoint" else _profile_source(key)
    if found is None:
        raise NotFound(f"there is no {key}")
    return found


def _pod_key(key: Key) -> Key | None:
    """Names are parts joined by "-", with each "-" inside a part doubled."""
    parts = re.split(r"(?<!-)-(?!-)", key.name)
    if len(parts) != 4 or not key.namespace:
        return None
    return Key("Pod", key.namespace, parts[2].replace("--", "-"))


def _profile_source(key: Key) -> Key | None:
    if key.name.startswith(names.NAMESPACE_PROFILE):
        return Key("Namespace", "", key.name.removeprefix(names.NAMESPACE_PROFILE))
    if key.name.startswith(names.SERVICE_ACCOUNT_PROFILE):
        rest = key.name.removeprefix(names.SERVICE_ACCOUNT_PROFILE)
        namespace, _, name = rest.partition(".")
        return Key("ServiceAccount", namespace, name) if namespace and name else None
    return None
