"""What etcd may forget: nothing that is younger than a period, and nothing once another leads."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest
from msgspec.structs import replace

from strategies.controllers import eventually, settings_with
from tortie.controllers import compaction
from tortie.controllers.controller import Context, Side, Sides
from tortie.controllers.feed import Feed
from tortie.controllers.fenced import FencedStore
from tortie.controllers.live import Live
from tortie.controllers.metrics import Metrics
from tortie.datastore import NotLeading, Unavailable
from tortie.datastore.etcd import EtcdDatastore
from tortie.datastore.memory import MemoryDatastore

PERIOD = 0.001  # seconds


class Recorded(EtcdDatastore):
    """No etcd: each question finds the revision ten further on; `failing` compactions fail."""

    def __init__(self, failing: int = 0) -> None:
        self._revisions = count(10, 10)
        self._failing = failing
        self.compacted: list[int] = []

    async def revision(self) -> int:
        return next(self._revisions)

    async def compact(self, revision: int) -> None:
        if self._failing:
            self._failing -= 1
            raise Unavailable("no answer")
        self.compacted.append(revision)


def context(store: EtcdDatastore, check: Callable[[], None]) -> Context:
    fenced = FencedStore(store, check)
    return Context(
        sides=Sides("etcd", False),
        datastore=Side(fenced, Feed(MemoryDatastore(), (), lambda _: None)),
        kubernetes=None,
        settings=Live(replace(settings_with(), compaction=PERIOD)),
        metrics=Metrics(),
        waiting=lambda _: None,
    )


@pytest.mark.parametrize(("failing", "first"), [(0, [10, 20, 30]), (2, [10, 40, 50])])
def test_what_was_written_within_the_last_period_stays(failing: int, first: list[int]) -> None:
    async def scenario() -> None:
        store = Recorded(failing)
        task = asyncio.create_task(compaction.CONTROLLER.run(context(store, lambda: None)))

        async def enough() -> bool:
            return len(store.compacted) >= len(first)

        await eventually(enough)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert store.compacted[: len(first)] == first

    asyncio.run(scenario())


def test_nothing_is_forgotten_once_another_leads() -> None:
    async def scenario() -> None:
        store, turns = Recorded(), iter([True, True])

        def check() -> None:
            if not next(turns, False):
                raise NotLeading("another leads")

        with pytest.raises(NotLeading):
            await compaction.CONTROLLER.run(context(store, check))
        assert store.compacted == [10, 20]

    asyncio.run(scenario())
