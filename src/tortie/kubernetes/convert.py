"""Any resource as what the engine works with."""

from typing import NamedTuple

from tortie.api import (
    AdminNetworkPolicy,
    BaselineAdminNetworkPolicy,
    ClusterNetworkPolicy,
    Key,
    KubernetesNetworkPolicy,
    Namespace,
    Pod,
    Resource,
    ServiceAccount,
)
from tortie.kubernetes.admin import convert_admin_policy
from tortie.kubernetes.names import namespace_profile, service_account_profile
from tortie.kubernetes.pods import convert_pod
from tortie.kubernetes.policies import convert_policy
from tortie.kubernetes.profiles import convert_namespace, convert_service_account

CONVERTED_KINDS = frozenset(
    {
        *("Pod", "Namespace", "ServiceAccount", "KubernetesNetworkPolicy"),
        *("KubernetesAdminNetworkPolicy", "KubernetesBaselineAdminNetworkPolicy"),
        "KubernetesClusterNetworkPolicy",
    }
)


class Conversion(NamedTuple):
    """What stands for an object, mostly one resource or none, and what could not be converted.

    A Pod stands for an endpoint for each of its interfaces, the first of them first.
    """

    values: tuple[Resource, ...]
    warnings: tuple[str, ...] = ()

    @property
    def value(self) -> Resource | None:
        """The one resource, or the first; None: nothing stands for it."""
        return self.values[0] if self.values else None


def conversion(resource: Resource) -> Conversion:
    """What the engine gets for `resource`; resources of Calico's own as they are."""
    match resource:
        case Pod():
            return Conversion(*convert_pod(resource))
        case KubernetesNetworkPolicy():
            return _alone(*convert_policy(resource))
        case AdminNetworkPolicy() | BaselineAdminNetworkPolicy() | ClusterNetworkPolicy():
            return _alone(*convert_admin_policy(resource))
        case Namespace():
            return Conversion((convert_namespace(resource),))
        case ServiceAccount():
            return Conversion((convert_service_account(resource),))
    return Conversion((resource,))


def _alone(value: Resource | None, warnings: tuple[str, ...]) -> Conversion:
    return Conversion((value,) if value is not None else (), warnings)


def convert(resource: Resource) -> Resource | None:
    """`conversion(resource).value`."""
    return conversion(resource).value


def converted_key(key: Key) -> Key | None:
    """The key under which the engine gets what stands for the object of `key`.

    None for a Pod: its endpoints' names have the node in them, so only the Pod itself tells.
    Policies keep their own keys, beside NetworkPolicies and GlobalNetworkPolicies of the same name.
    """
    match key.kind:
        case "Pod":
            return None
        case "Namespace":
            return Key("Profile", "", namespace_profile(key.name))
        case "ServiceAccount":
            return Key("Profile", "", service_account_profile(key.namespace, key.name))
    return key
