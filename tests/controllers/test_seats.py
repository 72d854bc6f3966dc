"""One of several leads: on a file, in etcd, in Kubernetes; and nobody writes who has lost it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from strategies.controllers import eventually, node
from tortie.cli.datastore import opened
from tortie.controllers.leadership import Leadership, Seat, Standing
from tortie.controllers.seats import opened_fenced, opened_seat
from tortie.datastore import Datastore, NotLeading
from tortie.datastore.settings import DatastoreSettings, SqliteSettings

SECONDS = 2  # the least that etcd grants


@pytest.fixture
def namespace() -> str:
    """One of its own for each test: Leases stay in the server that all share."""
    return f"seats-{uuid4().hex[:8]}"


class Where(NamedTuple):
    """A datastore, and the namespace of a Lease."""

    settings: DatastoreSettings
    namespace: str = ""


@pytest.fixture(params=["file", "etcd", "kubernetes"])
def where(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Where:
    """A datastore of each kind, and the namespace of a Lease."""
    match request.param:
        case "etcd":
            settings: DatastoreSettings = request.getfixturevalue("etcd").client
        case "kubernetes":
            kube = request.getfixturevalue("kube")
            kube.namespace(namespace)
            settings = kube.client()
        case _:
            settings = SqliteSettings(path=str(tmp_path / "store.db"))
    return Where(settings, namespace)


@asynccontextmanager
async def seats(where: Where, *holders: str) -> AsyncIterator[list[Seat]]:
    async with AsyncExitStack() as opened:
        yield [
            await opened.enter_async_context(
                opened_seat(where.settings, name, SECONDS, where.namespace)
            )
            for name in holders
        ]


@asynccontextmanager
async def fenced(
    where: Where, seat: Seat, check: Callable[[], None] = lambda: None
) -> AsyncIterator[Datastore]:
    async with (
        opened(where.settings) as own,
        opened_fenced(where.settings, seat, check, own) as store,
    ):
        yield store


def test_one_has_it_until_it_gives_it_up(where: Where) -> None:
    async def scenario() -> None:
        async with seats(where, "first", "second") as (first, second):
            assert await first.take() is None
            holder = await second.take()
            assert holder
            assert "first" in holder or "locked" in holder
            assert await first.renew()
            assert await first.take() is None  # who has it may ask again
            await first.give_up()
            assert await second.take() is None
            assert await second.renew()
            assert await first.take()

    asyncio.run(scenario())


def test_a_holder_that_falls_silent_is_followed_by_another(where: Where) -> None:
    if isinstance(where.settings, SqliteSettings):
        pytest.skip("a lock on a file is held for as long as its process lives")

    async def scenario() -> None:
        async with seats(where, "first", "second") as (first, second):
            assert await first.take() is None

            async def taken() -> bool:
                return await second.take() is None

            await eventually(taken)
            assert not await first.renew()

    asyncio.run(scenario())


def test_a_lock_whose_file_was_removed_is_lost(tmp_path: Path) -> None:
    where = Where(SqliteSettings(path=str(tmp_path / "store.db")))

    async def scenario() -> None:
        async with seats(where, "first", "second") as (first, second):
            assert await first.take() is None
            seat = tmp_path / "store.db-controllers"
            assert seat.stat().st_mode & 0o777 == 0o600  # who may open it may take it
            seat.unlink()
            assert not await first.renew()
            assert await second.take() is None

    asyncio.run(scenario())


def test_a_former_leaders_write_is_refused_by_etcd_itself(etcd) -> None:
    """It has looked, was stopped, and sends what it decided before: no clock of its own helps."""
    where = Where(etcd.client)

    async def scenario() -> None:
        async with seats(where, "first", "second") as (first, second):
            assert await first.take() is None
            async with fenced(where, first) as mine:
                there = await mine.create(node("n1"))
                await first.give_up()  # as when its lease ran out
                assert await second.take() is None
                for write in (
                    mine.create(node("n2")),
                    mine.update(node("n1")),
                    mine.update(there),
                    mine.delete(there.key),
                    mine.delete(there.key, int(there.metadata.resource_version)),
                ):
                    with pytest.raises(NotLeading):
                        await write
            async with fenced(where, second) as theirs:
                assert [one.key for one in (await theirs.list("Node")).resources] == [there.key]
                await theirs.update(there)

    asyncio.run(scenario())


def test_a_write_is_refused_right_before_it_is_sent(where: Where) -> None:
    def check() -> None:
        raise NotLeading("another leads")

    async def scenario() -> None:
        async with seats(where, "first") as (first,):
            await first.take()
            async with fenced(where, first, check) as store:
                with pytest.raises(NotLeading):
                    await store.create(node("n1"))

    asyncio.run(scenario())


def test_a_reign_leaves_the_process_its_own_store(where: Where) -> None:
    async def scenario() -> None:
        async with seats(where, "first") as (first,), opened(where.settings) as own:
            await first.take()
            async with opened_fenced(where.settings, first, lambda: None, own) as store:
                assert await store.identity() == await own.identity()
            assert (await own.list("Node")).malformed == ()  # it is not closed

    asyncio.run(scenario())


class Chair:
    """A seat in memory; `broken` says nothing."""

    seconds = SECONDS

    def __init__(self) -> None:
        self.broken = False
        self.taken = 0

    async def take(self) -> str | None:
        self.taken += 1
        return None

    async def renew(self) -> bool:
        if self.broken:
            await asyncio.sleep(3600)
        return True

    async def give_up(self) -> None:
        pass


def test_work_ends_before_others_may_begin_though_nobody_answers() -> None:
    chair, told, ended = Chair(), list[Standing](), list[str]()

    async def scenario() -> None:
        leadership = Leadership(chair, told.append)

        async def work() -> None:
            chair.broken = True
            leadership.check()
            try:
                await asyncio.sleep(3600)
            finally:
                with pytest.raises(NotLeading):
                    leadership.check()
                ended.append("before the seat is asked for again")
                assert chair.taken == 1

        task = asyncio.ensure_future(leadership.lead(work))

        async def again() -> bool:
            return chair.taken == 2

        await eventually(again)
        task.cancel()

    asyncio.run(scenario())
    assert ended
    assert [one.leader for one in told[:2]] == ["", "another process, or nobody"]


@pytest.mark.parametrize(("passed", "sure"), [(0.6, True), (0.67, False), (5.0, False)])
def test_it_is_sure_for_two_thirds_of_the_time(passed: float, sure: bool) -> None:
    """A clock that others turn: as for a process that stood still."""
    now, told = [100.0], list[bool]()

    async def scenario() -> None:
        leadership = Leadership(Chair(), lambda _: None, lambda: now[0])

        async def work() -> None:
            now[0] += passed * SECONDS
            try:
                leadership.check()
                told.append(True)
            except NotLeading:
                told.append(False)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await leadership.lead(work)

    asyncio.run(scenario())
    assert told == [sure]


def test_what_the_work_raises_is_raised_and_the_seat_is_free() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            await Leadership(Chair(), lambda _: None).lead(work)

    asyncio.run(scenario())


def test_a_lease_that_somebody_edits_stays_ours(kube, namespace: str) -> None:
    kube.namespace(namespace)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/calico-kube-controllers"

    async def scenario() -> None:
        async with seats(Where(kube.client(), namespace), "first") as (first,):
            assert await first.take() is None
            lease = kube.api.get(path)
            lease["metadata"]["labels"] = {"a": "b"}
            kube.api.request("PUT", path, lease)
            assert await first.renew()
            assert kube.api.get(path)["metadata"]["labels"] == {"a": "b"}
            assert kube.api.get(path)["spec"]["holderIdentity"] == "first"
            assert kube.api.get(path)["spec"]["leaseTransitions"] == 0

    asyncio.run(scenario())


def test_a_datastore_that_is_away_is_no_seat(tmp_path: Path) -> None:
    from tortie.datastore import DatastoreError
    from tortie.datastore.settings import EtcdSettings

    nowhere = SqliteSettings(path=str(tmp_path / "no" / "store.db"))
    for where in (EtcdSettings(endpoints=("http://127.0.0.1:1",)), nowhere):

        async def scenario(where: DatastoreSettings = where) -> None:
            async with seats(Where(where), "first") as (first,):
                with pytest.raises(DatastoreError):
                    await first.take()

        asyncio.run(scenario())
