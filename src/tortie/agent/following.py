"""Whether the datastore is followed, as health, metrics and the log say it."""

from collections.abc import Callable

import structlog

from tortie.agent import metrics as metric
from tortie.agent.freshness import Clocks, Freshness, freshness, in_words
from tortie.agent.metrics import Metrics
from tortie.daemon.health import Health
from tortie.sync import Outage

_PART = "datastore"
_log = structlog.get_logger(__name__)


class Following:
    """What one agent tells of it. `outage` says why it can't be followed now; None while it can."""

    def __init__(
        self,
        outage: Callable[[], Outage | None],
        clocks: Clocks,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._outage, self._clocks = outage, clocks
        self._health, self._metrics = health, metrics
        self._last_update: float | None = None
        self._stale = False
        health.register(_PART, 0, "the first complete picture is not here yet")

    def came(self, updates: int) -> None:
        """So many updates have come."""
        self._last_update = self._clocks.monotonic()
        self._metrics.updated()
        self._metrics.updates_seen(updates)

    def freshness(self) -> Freshness:
        """How old what is in force is."""
        return freshness(self._outage(), self._last_update, self._clocks)

    def tell(self, revision: int | None) -> None:
        """Take in how it is now. `revision` is the one in force; None: none of this agent's."""
        found = self.freshness()
        self._metrics.stale(found.stale_seconds)
        if not found.followed:
            self._health.waiting(_PART, in_words(found, revision))
            self._metrics.resync_state(metric.WAITING)
        elif revision is not None:
            self._health.ready(_PART)
            self._metrics.resync_state(metric.IN_SYNC)
        if found.followed and self._stale:
            _log.info("the datastore is followed again")
        self._stale = not found.followed
