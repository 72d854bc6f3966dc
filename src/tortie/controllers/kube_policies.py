"""Policies of Kubernetes as policies of Calico's kinds, under the names that Calico gives them.

A NetworkPolicy `web` becomes the NetworkPolicy `knp.default.web`, as Calico's controller writes it.
Admin policies become GlobalNetworkPolicies of their tier, `kanp.adminnetworkpolicy.NAME` and so on,
which are the names that Calico's agent knows them by.
"""

from tortie.api import Key, Resource
from tortie.controllers.mirror import Mirror, Mirrored, controller_of
from tortie.kubernetes import conversion

_NAMESPACED, _GLOBAL = "NetworkPolicy", "GlobalNetworkPolicy"
_PREFIXES = {
    "KubernetesNetworkPolicy": "knp.default.",
    "KubernetesAdminNetworkPolicy": "kanp.adminnetworkpolicy.",
    "KubernetesBaselineAdminNetworkPolicy": "kbanp.baselineadminnetworkpolicy.",
    "KubernetesClusterNetworkPolicy": "kcnp.",  # of one tier or another: its name must not move
}


def mirrored(source: Resource) -> Mirrored:
    """What stands for a policy of Kubernetes."""
    found = conversion(source)
    return Mirrored(found.value, found.warnings)


def target_of(source: Key) -> Key:
    """Where it is kept."""
    kind = _NAMESPACED if source.kind == "KubernetesNetworkPolicy" else _GLOBAL
    return Key(kind, source.namespace, _PREFIXES[source.kind] + source.name)


def source_of(target: Key) -> Key | None:
    """What an object of this key stands for; None for one that is not ours."""
    for kind, prefix in _PREFIXES.items():
        name = target.name.removeprefix(prefix)
        source = Key(kind, target.namespace, name)
        if name and name != target.name and target_of(source) == target:
            return source
    return None


CONTROLLER = controller_of(
    Mirror(
        name="policies of Kubernetes",
        switch="policy",
        sources=tuple(_PREFIXES),
        targets=(_NAMESPACED, _GLOBAL),
        mirrored=mirrored,
        target_of=target_of,
        source_of=source_of,
    )
)
