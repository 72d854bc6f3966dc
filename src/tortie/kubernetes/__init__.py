"""Kubernetes objects into the resources that they stand for.

What comes in: Pods, Namespaces, ServiceAccounts and NetworkPolicies as typed values. What goes out:
WorkloadEndpoints, Profiles and policies, with the labels and names that Calico gives them. A rule
that can't be converted fails closed. It never performs I/O.
"""

from tortie.kubernetes.convert import (
    CONVERTED_KINDS,
    Conversion,
    conversion,
    convert,
    converted_key,
)
from tortie.kubernetes.names import (
    interface_name,
    namespace_profile,
    service_account_profile,
    wep_name,
)

__all__ = [
    "CONVERTED_KINDS",
    "Conversion",
    "conversion",
    "convert",
    "converted_key",
    "interface_name",
    "namespace_profile",
    "service_account_profile",
    "wep_name",
]
