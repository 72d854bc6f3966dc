"""How old the policy is that is in force, in words and numbers."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from tortie.sync import Outage


class Freshness(Struct, frozen=True):
    """What status and readiness say of the datastore. Times are RFC 3339, UTC."""

    followed: bool
    stale_since: str | None = None
    stale_seconds: float = 0.0
    reason: str = ""
    last_update: str | None = None


class Clocks(Struct, frozen=True):
    """The time since boot, which never jumps, and the one of people, which may."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def ago(self, seconds: float) -> str:
        """When that was, by the clock of people as it is now: right also after it was set."""
        moment = self.now() - timedelta(seconds=seconds)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def freshness(outage: Outage | None, last_update: float | None, clocks: Clocks) -> Freshness:
    """`last_update` is of the monotonic clock; None: nothing came yet."""
    now = clocks.monotonic()
    last = None if last_update is None else clocks.ago(now - last_update)
    if outage is None:
        return Freshness(followed=True, last_update=last)
    age = max(0.0, now - outage.since)
    return Freshness(
        followed=False,
        stale_since=clocks.ago(age),
        stale_seconds=round(age, 1),
        reason=outage.reason,
        last_update=last,
    )


def in_words(found: Freshness, revision: int | None) -> str:
    """One line for a page. `revision` is the one in force; None: none of this agent's."""
    force = (
        "what an earlier agent programmed is in force"
        if revision is None
        else f"the policy of revision {revision} is in force"
    )
    return (
        f"not followed since {found.stale_since} ({found.stale_seconds:.0f} s), {force}:"
        f" {found.reason}"
    )
