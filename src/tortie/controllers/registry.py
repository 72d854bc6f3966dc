"""All controllers there are. A new one stands in a module of its own, and in this list."""

from tortie.controllers import collection, configuration, pools, tiers
from tortie.controllers.controller import Controller, Sides
from tortie.controllers.loadbalancer import controller as loadbalancer
from tortie.controllers.settings import Settings

CONTROLLERS: tuple[Controller, ...] = (
    configuration.CONTROLLER,
    collection.CONTROLLER,
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
