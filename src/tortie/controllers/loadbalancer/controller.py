"""All Services: each looked at when it changes, all of them when pools or settings do."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager

import structlog

from tortie.api import Key
from tortie.controllers.controller import Context, Controller
from tortie.controllers.loadbalancer.balancer import Balancer, Unmet
from tortie.controllers.reconciling import Job, Watched, reconcile_all

NAME = "load balancer addresses"
PERIOD = 300.0  # seconds between two looks at everything, as in Calico
_GONE = "Services that are gone"  # one more thing to look at, beside each Service

_log = structlog.get_logger(__name__)


async def _run(context: Context) -> None:
    side, settings = context.kubernetes or context.datastore, context.settings
    unmet = Unmets()
    balancer = Balancer(
        context.datastore.store, side.store, lambda: settings.current.every_service, unmet.look
    )

    def everything() -> Iterable[Hashable]:
        return (*side.feed.objects("Service"), _GONE)

    async def reconcile(item: Hashable) -> None:
        if isinstance(item, Key):
            with unmet.noting(item):
                await balancer.reconcile(item)
        elif gone := await balancer.sweep():
            _log.info("released the addresses of Services that are gone", handles=len(gone))

    watched = (
        Watched(side, ("Service",), lambda key: (key,)),
        Watched(context.datastore, ("IPPool",), lambda _: everything()),
    )
    job = Job(NAME, watched, everything, reconcile, lambda: PERIOD, unmet.begun)
    await reconcile_all(context, job)


class Unmets:
    """Services that wait for an address: an address that comes back is for one of them."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()
        self._add: Callable[[Hashable], None] | None = None

    def begun(self, add: Callable[[Hashable], None]) -> None:
        """`add` has one looked at soon."""
        self._add = add

    def look(self) -> None:
        """Have all of them looked at."""
        for key in sorted(self._keys):
            if self._add is not None:
                self._add(key)

    @contextmanager
    def noting(self, key: Key) -> Iterator[None]:
        """Note whether a Service still waits after this."""
        self._keys.discard(key)
        try:
            yield
        except Unmet:
            self._keys.add(key)
            raise


CONTROLLER = Controller(
    name=NAME,
    switch="loadbalancer",
    run=_run,
    follows=("IPPool", "Service"),
    follows_kubernetes=("Service",),
)
