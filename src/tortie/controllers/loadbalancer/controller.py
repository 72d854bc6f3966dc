"""All Services: each looked at when it changes, all of them when pools or settings do."""

from collections.abc import Hashable, Iterable

import structlog

from tortie.api import Key
from tortie.controllers.controller import Context, Controller
from tortie.controllers.loadbalancer.balancer import Balancer
from tortie.controllers.reconciling import Job, Watched, reconcile_all

NAME = "load balancer addresses"
PERIOD = 300.0  # seconds between two looks at everything, as in Calico
_GONE = "Services that are gone"  # one more thing to look at, beside each Service

_log = structlog.get_logger(__name__)


async def _run(context: Context) -> None:
    side, settings = context.kubernetes or context.datastore, context.settings
    balancer = Balancer(context.datastore.store, side.store, lambda: settings.current.every_service)

    def everything() -> Iterable[Hashable]:
        return (*side.feed.objects("Service"), _GONE)

    async def reconcile(item: Hashable) -> None:
        if isinstance(item, Key):
            await balancer.reconcile(item)
        elif gone := await balancer.sweep():
            _log.info("released the addresses of Services that are gone", handles=len(gone))

    watched = (
        Watched(side, ("Service",), lambda key: (key,)),
        Watched(context.datastore, ("IPPool",), lambda _: everything()),
    )
    await reconcile_all(context, Job(NAME, watched, everything, reconcile, lambda: PERIOD))


CONTROLLER = Controller(
    name=NAME,
    switch="loadbalancer",
    run=_run,
    follows=("IPPool", "Service"),
    follows_kubernetes=("Service",),
)
