"""What has been told downstream, and what is to be told next."""

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_NOBODY: frozenset[Any] = frozenset()


class Ledger(Generic[K, V]):
    """Values by key, as last drained; changes since are coalesced.

    A value that comes back to what was drained last is no change, so no delta ever says what the
    one before it said.
    """

    __slots__ = ("_pending", "told")

    def __init__(self) -> None:
        self.told: dict[K, V] = {}
        self._pending: dict[K, V | None] = {}

    def put(self, key: K, value: V) -> None:
        """The value of `key` is now this."""
        self._pending[key] = value

    def drop(self, key: K) -> None:
        """There is no `key` any more. An unknown one is nothing."""
        self._pending[key] = None

    def set(self, key: K, value: V | None) -> None:
        """The value of `key` is now this; None: there is none."""
        self._pending[key] = value

    def drain(self) -> tuple[dict[K, V], frozenset[K]]:
        """What is new or differs, and what went, since the last call."""
        if not self._pending:  # most of them, most of the time
            return {}, _NOBODY
        pending, self._pending = self._pending, {}
        changed: dict[K, V] = {}
        gone: list[K] = []
        for key, value in pending.items():
            if value is None:
                if self.told.pop(key, None) is not None:
                    gone.append(key)
            elif self.told.get(key) != value:
                self.told[key] = changed[key] = value
        return changed, frozenset(gone)


class Single(Generic[V]):
    """One value, as told last."""

    __slots__ = ("told",)

    def __init__(self, told: V) -> None:
        self.told = told

    def news(self, now: V) -> tuple[V] | None:
        """The value if it differs from what was told last."""
        if now == self.told:
            return None
        self.told = now
        return (now,)
