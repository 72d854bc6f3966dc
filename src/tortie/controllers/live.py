"""A value that changes while others use it."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Live(Generic[T]):
    """`current` is the value now; who subscribed is called after each change of it."""

    def __init__(self, value: T) -> None:
        self.current = value
        self._readers: list[Callable[[], None]] = []

    def put(self, value: T) -> None:
        """The value from now on. Nobody is called where it is the same."""
        if value == self.current:
            return
        self.current = value
        for reader in tuple(self._readers):
            reader()

    def subscribe(self, reader: Callable[[], None]) -> Callable[[], None]:
        """Have `reader` called after each change; returns what ends that."""
        self._readers.append(reader)
        return lambda: self._readers.remove(reader)

    async def changed(self) -> None:
        """Wait for the next change."""
        event = asyncio.Event()
        end = self.subscribe(event.set)
        try:
            await event.wait()
        finally:
            end()
