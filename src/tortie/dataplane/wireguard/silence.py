"""How long a wireguard-go that hangs is waited for: little, and not for ever.

Who waits for it is the one thread that writes policy, too. A program that does not answer carries
no packet either: in its place comes another one, and until then packets are dropped.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from tortie.linux.wguapi import PATIENCE


class Waits(NamedTuple):
    """In seconds: for an answer of one that has answered, of one that has not, and in all."""

    first: float = PATIENCE
    again: float = 0.5
    whole: float = 20.0


class Silence:
    """Since when a device has not answered."""

    def __init__(self, waits: Waits | None = None, clock: Callable[[], float] = time.monotonic):
        self._waits, self._clock = waits or Waits(), clock
        self._since: float | None = None

    @property
    def patience(self) -> float:
        """How long to wait for the next answer."""
        return self._waits.first if self._since is None else self._waits.again

    @property
    def is_over(self) -> bool:
        """Whether it has had its time."""
        return self._since is not None and self._clock() - self._since >= self._waits.whole

    def heard(self) -> None:
        """It has answered, or is another one now."""
        self._since = None

    def unheard(self) -> None:
        """It has not."""
        if self._since is None:
            self._since = self._clock()
