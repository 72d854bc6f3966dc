"""When to look at what others may have changed, and what is said of it.

The first change is looked at at once. While a driver's state is changed again and again, the looks
stand further apart, up to a bound that keeps the node shut most of the time and costs little: some
other manager believes that our tables or routes are its own, and only a person can settle that.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog
from msgspec import Struct

Schedule = Callable[[float, Callable[[], None]], object]  # seconds, what to do then
_FIRST = 0.02  # seconds from one look to the next
_LAST = 0.64
_QUIET = 30.0  # seconds without a repair, after which all is well again
CONTESTED = 5  # repairs without such a pause

_log = structlog.get_logger(__name__)


class Contest(Struct, frozen=True):
    """How a driver's state is being changed by others: as `status` shows it."""

    driver: str
    changes: int = 0  # that were told
    repairs: int = 0  # of them, and of what the timer found, those that left something to put right
    last_by: str = ""
    contested: bool = False  # it is changed again and again


class _Driver(Struct):
    wait: float = 0.0  # from the last look to the next one
    looked: float = float("-inf")
    repaired: float = float("-inf")
    row: int = 0  # repairs without a pause
    is_due: bool = False  # a look is asked for, and its turn has not ended
    again: bool = False  # changed meanwhile: that look may have been too early
    changes: int = 0
    repairs: int = 0
    last_by: str = ""


class Repaired(NamedTuple):
    """A driver put `objects` right that `by` had changed; `is_contested`: once again."""

    driver: str
    objects: int
    by: str
    is_contested: bool


class Repairs:
    """Paces the looks. `look(driver)` has the next turn look; `clock` gives seconds."""

    def __init__(
        self, look: Callable[[str], None], schedule: Schedule, clock: Callable[[], float]
    ) -> None:
        self._look, self._schedule, self._clock = look, schedule, clock
        self._drivers: dict[str, _Driver] = {}

    def changed(self, driver: str, by: str) -> None:
        """Somebody may have changed the driver's state."""
        one = self._drivers.setdefault(driver, _Driver())
        one.changes += 1
        one.last_by = by or one.last_by
        if one.is_due:
            one.again = True
        else:
            self._ask(driver, one)

    def _ask(self, driver: str, one: _Driver) -> None:
        one.is_due, one.again = True, False
        wait = one.looked + one.wait - self._clock()
        if wait <= 0:
            self._look(driver)
        else:
            self._schedule(wait, lambda: self._look(driver))

    def looked(self, repaired: Mapping[str, int]) -> list[Repaired]:
        """A turn has looked: objects put right, by driver. Returns what there is to be told."""
        return [
            told
            for driver, objects in repaired.items()
            if (told := self._note(driver, objects)) is not None
        ]

    def _note(self, driver: str, objects: int) -> Repaired | None:
        one, now = self._drivers.setdefault(driver, _Driver()), self._clock()
        if now - one.repaired > _QUIET:
            one.row, one.wait = 0, _FIRST
        one.looked, one.is_due = now, False
        if objects:
            one.row, one.repairs, one.repaired = one.row + 1, one.repairs + 1, now
            one.wait = min(one.wait * 2, _LAST)
        if one.again:
            self._ask(driver, one)
        if not objects:
            return None
        return Repaired(driver, objects, one.last_by, one.row >= CONTESTED)

    def contests(self) -> list[Contest]:
        """The drivers whose state others have changed."""
        now = self._clock()
        return [
            Contest(
                driver,
                one.changes,
                one.repairs,
                one.last_by,
                one.row >= CONTESTED and now - one.repaired <= _QUIET,
            )
            for driver, one in self._drivers.items()
        ]


def tell(repaired: Repaired) -> None:
    """One line for what was put right; a quarrel with another manager is for a person to settle."""
    driver, objects, by, contested = repaired
    if contested:
        _log.error(
            "others keep changing what is ours; stop them, or this node is open now and then",
            driver=driver,
            by=by,
            objects=objects,
        )
    else:
        _log.warning(
            "others changed what is ours; put right", driver=driver, by=by, objects=objects
        )
