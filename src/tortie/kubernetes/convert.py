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
    """What stands for an object (None: nothing does), and what could not be converted."""

    value: Resource | None
    warnings: tuple[str, ...] = ()


def conversion(resource: Resource) -> Conversion:
    """What the engine gets for `resource`; resources of Calico's own as they are."""
    match resource:
        case Pod():
            return Conversion(*convert_pod(resource))
        case KubernetesNetworkPolicy():
            return Conversion(*convert_policy(resource))
        case AdminNetworkPolicy() | BaselineAdminNetworkPolicy() | ClusterNetworkPolicy():
            return Conversion(*convert_admin_policy(resource))
        case Namespace():
            return Conversion(convert_namespace(resource))
        case ServiceAccount():
            return Conversion(convert_service_account(resource))
    return Conversion(resource)


def convert(resource: Resource) -> Resource | None:
    """`conversion(resource).value`."""
    return conversion(resource).value


def converted_key(key: Key) -> Key | None:
    """The key under which the engine gets what stands for the object of `key`.

    None for a Pod: its endpoint's name has the node in it, so only the Pod itself tells. Policies
    keep their own keys, beside NetworkPolicies and GlobalNetworkPolicies of the same name.
    """
    match key.kind:
        case "Pod":
            return None
        case "Namespace":
            return Key("Profile", "", namespace_profile(key.name))
        case "ServiceAccount":
            return Key("Profile", "", service_account_profile(key.namespace, key.name))
    return key
