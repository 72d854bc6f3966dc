"""The backends that the contract's tests run against."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from strategies.datastore import Backend, Memory, Sqlite
from tortie.datastore import Datastore

Scenario = Callable[[Datastore], Awaitable[Any]]


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each backend in turn."""
    return Memory() if request.param == "memory" else Sqlite(tmp_path)


@pytest.fixture
def check(backend: Backend) -> Callable[..., None]:
    """Run a scenario on a fresh store of the backend."""

    def run(scenario: Scenario, history: int = 10_000) -> None:
        async def body() -> None:
            store = await backend.open(history)
            try:
                await scenario(store)
            finally:
                await store.close()

        asyncio.run(body())

    return run
