"""All controllers there are. A new one stands in a module of its own, and in this list."""

from tortie.controllers import (
    collection,
    compaction,
    configuration,
    kube_pods,
    kube_policies,
    kube_profiles,
    node_deletion,
    node_endpoints,
    node_labels,
    pools,
    tiers,
)
from tortie.controllers.controller import Controller, Sides
from tortie.controllers.loadbalancer import controller as loadbalancer
from tortie.controllers.settings import Settings

CONTROLLERS: tuple[Controller, ...] = (
    configuration.CONTROLLER,
    collection.CONTROLLER,
    node_deletion.CONTROLLER,
    node_labels.CONTROLLER,
    node_endpoints.CONTROLLER,
    kube_policies.CONTROLLER,
    kube_profiles.NAMESPACES,
    kube_profiles.ACCOUNTS,
    kube_pods.CONTROLLER,
    compaction.CONTROLLER,
    loadbalancer.CONTROLLER,
    pools.CONTROLLER,
    tiers.CONTROLLER,
)


def chosen(settings: Settings, sides: Sides) -> tuple[Controller, ...]:
    """Those that are to run with these settings and stores."""
    return tuple(
        one
        for one in CONTROLLERS
        if (not one.switch or one.switch in settings.enabled) and one.belongs(sides)
    )
