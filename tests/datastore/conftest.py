"""The backends that the contract's tests run against."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from strategies.datastore import BACKENDS, Ability, Backend, backend_named
from tortie.datastore import Datastore

Scenario = Callable[[Datastore], Awaitable[Any]]
SECONDS = 120  # for a scenario: none takes as long, one that hangs is to say where


class Check(Protocol):
    """Runs a scenario on a fresh store; skips the test where the store can't what it needs."""

    def __call__(self, scenario: Scenario, *needs: Ability) -> None: ...


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each backend in turn."""
    with backend_named(request.param, request, tmp_path) as found:
        yield found


@pytest.fixture
def unheard() -> Iterator[int]:
    """A TCP port of 127.0.0.1 at which nobody listens, as long as the test lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def check(backend: Backend) -> Check:
    """Run a scenario on a fresh store of the backend."""

    def run(scenario: Scenario, *needs: Ability) -> None:
        for need in needs:
            if need in backend.cannot:
                pytest.skip(f"can't {need.value}: {backend.cannot[need]}")
        asyncio.run(_body(backend, scenario))

    return run


async def _body(backend: Backend, scenario: Scenario) -> None:
    store = await backend.open()
    try:
        async with asyncio.timeout(SECONDS):
            await scenario(store)
    finally:
        await store.close()
    await _nothing_left()


async def _nothing_left() -> None:
    """A closed store leaves no task behind, whatever was done with it."""
    async with asyncio.timeout(60):
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left, timeout=0.05)
