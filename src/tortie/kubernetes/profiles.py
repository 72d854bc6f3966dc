"""Namespaces and service accounts as Profiles."""

from tortie.api import Namespace, ObjectMeta, Profile, ProfileSpec, Rule, ServiceAccount
from tortie.kubernetes.names import (
    NAME_LABEL,
    NAMESPACE_PREFIX,
    SERVICE_ACCOUNT_PREFIX,
    converted_uid,
    namespace_profile,
    service_account_profile,
)

_ALLOW = (Rule(action="Allow"),)


def convert_namespace(namespace: Namespace) -> Profile:
    """The Profile that allows all, and gives a namespace's labels to its endpoints."""
    source = namespace.metadata
    labels = _prefixed(NAMESPACE_PREFIX, source)
    spec = ProfileSpec(ingress=_ALLOW, egress=_ALLOW, labels_to_apply=labels)
    metadata = _metadata(namespace_profile(source.name), source, f"{source.resource_version}/")
    return Profile(metadata=metadata, spec=spec)


def convert_service_account(account: ServiceAccount) -> Profile:
    """The Profile without rules that gives a service account's labels to its endpoints."""
    source = account.metadata
    labels = _prefixed(SERVICE_ACCOUNT_PREFIX, source)
    name = service_account_profile(source.namespace, source.name)
    metadata = _metadata(name, source, f"/{source.resource_version}")
    return Profile(metadata=metadata, spec=ProfileSpec(labels_to_apply=labels))


def _prefixed(prefix: str, source: ObjectMeta) -> dict[str, str]:
    """The object's labels and its name, as labels of the endpoints; its name can't be forged."""
    labels = {prefix + key: value for key, value in source.labels.items()}
    return {**labels, prefix + NAME_LABEL: source.name}


def _metadata(name: str, source: ObjectMeta, version: str) -> ObjectMeta:
    """Versions are "<namespaces'>/<service accounts'>", as both kinds give Profiles."""
    return ObjectMeta(
        name=name,
        uid=converted_uid(source.uid),
        resource_version=version if source.resource_version else "",
        creation_timestamp=source.creation_timestamp,
    )
