"""Two processes: one leads, is killed or stopped while things change, and the other goes on."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controllers.daemons import Daemon, configured, daemons, until
from strategies.controllers import drop, eventually, node, put
from tortie.api import Key
from tortie.datastore import Datastore, open_datastore
from tortie.datastore.settings import DatastoreSettings, SqliteSettings

LEASE = ("--lease-seconds", "2")


@asynccontextmanager
async def opened(settings: DatastoreSettings) -> AsyncIterator[Datastore]:
    store = await open_datastore(settings)
    try:
        yield store
    finally:
        await store.close()


def on(settings: DatastoreSettings, work: Callable[[Datastore], Awaitable[None]]) -> None:
    async def body() -> None:
        async with opened(settings) as store:
            await work(store)

    asyncio.run(body())


@pytest.fixture(params=["file", "etcd"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[DatastoreSettings, str]]:
    if request.param == "etcd":
        etcd = request.getfixturevalue("etcd")
        yield etcd.client, f"etcd:{etcd.endpoint}"
    else:
        path = tmp_path / "store.db"
        yield SqliteSettings(path=str(path)), str(path)


def leader_of(both: list[Daemon]) -> Daemon:
    """Who leads, once somebody does."""
    until(lambda: any(one.leads() for one in both), "somebody leads")
    (found,) = [one for one in both if one.leads()]
    return found


async def churn(store: Datastore, rounds: int) -> None:
    """Nodes come, change and go; at the end there are those with even numbers."""
    for number in range(rounds):
        await put(store, node(f"n{number}", round=str(number)))
        if number % 2:
            await drop(store, Key("Node", "", f"n{number}"))
        await asyncio.sleep(0.02)


async def is_right(store: Datastore) -> bool:
    nodes = {one.metadata.name for one in (await store.list("Node")).resources}
    found = {one.metadata.name for one in (await store.list("HostEndpoint")).resources}
    return found == {f"{name}-auto-hep" for name in nodes}


def test_the_other_goes_on_after_a_kill(
    place: tuple[DatastoreSettings, str], tmp_path: Path
) -> None:
    settings, location = place
    on(settings, configured)
    some = ("--datastore", location, *LEASE)
    with daemons(tmp_path, some, some) as both:
        first = leader_of(both)
        (other,) = [one for one in both if one is not first]
        until(lambda: "200" in other.readiness(), "who waits is ready, too")

        async def work(store: Datastore) -> None:
            changing = asyncio.ensure_future(churn(store, 60))
            await asyncio.sleep(0.3)
            first.signal(signal.SIGKILL)
            await changing
            await eventually(lambda: is_right(store))

        on(settings, work)
        until(other.leads, "the other leads")
        assert '"level": "error"' not in other.log.read_text()


def test_who_was_stopped_writes_nothing_more(etcd, tmp_path: Path) -> None:
    """Another takes over; the first wakes, and finds that it leads no longer."""
    on(etcd.client, configured)
    some = ("--datastore", f"etcd:{etcd.endpoint}", *LEASE)
    with daemons(tmp_path, some, some) as both:
        first = leader_of(both)
        (other,) = [one for one in both if one is not first]

        async def work(store: Datastore) -> None:
            changing = asyncio.ensure_future(churn(store, 40))
            await asyncio.sleep(0.3)
            first.signal(signal.SIGSTOP)
            await asyncio.to_thread(until, other.leads, "the other leads")
            first.signal(signal.SIGCONT)
            await changing
            await asyncio.to_thread(until, lambda: not first.leads(), "the first has noticed")
            await churn(store, 20)
            await eventually(lambda: is_right(store))

        on(etcd.client, work)
        # A slow machine may have moved it on meanwhile: what was stopped leads only by a new turn.
        until(lambda: other.leads() != first.leads(), "one leads, and knows it")


def test_who_is_asked_to_stop_leaves_the_seat_at_once(etcd, tmp_path: Path) -> None:
    on(etcd.client, configured)
    some = ("--datastore", f"etcd:{etcd.endpoint}", "--lease-seconds", "300")
    with daemons(tmp_path, some, some) as both:
        first = leader_of(both)
        (other,) = [one for one in both if one is not first]
        first.signal(signal.SIGTERM)
        assert first.process.wait(60) == 0
        until(other.leads, "the other leads, long before the lease is over")
