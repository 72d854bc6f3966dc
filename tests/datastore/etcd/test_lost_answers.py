"""What a write means whose answer was lost: done once, or told as unknown; never done twice.

The request reaches a real etcd or it does not; only the answer is kept from us, which no network at
hand does at the right moment.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.etcd import EtcdServer
from strategies.datastore import network_set, revision_of
from tortie.api import Key, Resource, with_metadata
from tortie.datastore import (
    AlreadyExists,
    Conflict,
    DatastoreError,
    NotFound,
    Unavailable,
    update_with,
)
from tortie.datastore.etcd import EtcdDatastore
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.members import TXN, Member, Method

Between = Callable[[], Awaitable[object]]


class LostAnswer(grpc.RpcError):
    """As gRPC tells of a connection that broke before the answer."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "Socket closed"


class Losing(Connection):
    """Loses the answers to writes as told: "request", "answer" or "" each time."""

    losses: Iterator[str] = iter(())
    between: Between | None = None

    async def _tried(self, member: Member, method: Method, request: Any, seconds: float) -> Any:
        loss = next(self.losses, "") if method is TXN and request.compare else ""
        if loss == "request":
            raise LostAnswer
        answer = await super()._tried(member, method, request, seconds)
        if loss == "answer":
            if self.between:
                act, self.between = self.between, None
                await act()
            raise LostAnswer
        return answer


def run(server: EtcdServer, losses: list[str], scenario: Callable[..., Awaitable[None]]) -> None:
    """A scenario with a store that loses answers, and a sound one beside it."""

    async def body() -> None:
        store = await EtcdDatastore.open(server.client)
        await store.close()
        store._connection = losing = Losing(server.client)
        losing.losses = iter(losses)
        other = await EtcdDatastore.open(server.client)
        try:
            await scenario(store, other, losing)
        finally:
            await losing.close()
            await other.close()

    asyncio.run(body())


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_a_create_that_went_unanswered_is_done_once(etcd: EtcdServer, loss: str) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, _: Losing) -> None:
        before = await other.revision()
        made = await store.create(network_set("a"))
        assert await other.get(made.key) == made
        assert await other.revision() == before + 1

    run(etcd, [loss], scenario)


def test_a_create_that_was_done_and_changed_since_is_ours(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, losing: Losing) -> None:
        losing.between = lambda: other.update(network_set("a", by="another"))
        made = await store.create(network_set("a"))
        assert made.metadata.labels == {}
        found = await other.get(made.key)
        assert (found.metadata.uid, found.metadata.labels) == (made.metadata.uid, {"by": "another"})
        with pytest.raises(Conflict):
            await store.update(made)

    run(etcd, ["answer"], scenario)


def test_a_create_that_another_won_is_refused(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, _: Losing) -> None:
        await other.create(network_set("a"))
        with pytest.raises(AlreadyExists):
            await store.create(network_set("a"))

    run(etcd, ["answer"], scenario)


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_an_update_that_went_unanswered_is_done_once(etcd: EtcdServer, loss: str) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, _: Losing) -> None:
        made = await other.create(network_set("a"))
        changed = await store.update(with_metadata(made, labels={"n": "1"}))
        assert await other.get(made.key) == changed
        assert await other.revision() == int(made.metadata.resource_version) + 1

    run(etcd, [loss], scenario)


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_an_equal_update_by_another_is_not_taken_for_ours(etcd: EtcdServer, loss: str) -> None:
    """Two count to one from the same nought: only one may believe that it did."""

    async def scenario(store: EtcdDatastore, other: EtcdDatastore, _: Losing) -> None:
        made = await other.create(network_set("a"))
        wanted = with_metadata(made, labels={"n": "1"})
        await store.get(made.key)
        await other.update(wanted)
        with pytest.raises(Conflict):
            await store.update(wanted)

    run(etcd, [loss], scenario)


def test_an_update_that_others_have_covered_is_found_below(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, losing: Losing) -> None:
        made = await other.create(network_set("a"))

        async def cover() -> None:
            for by in "xyz":
                await other.update(network_set("a", by=by))

        losing.between = cover
        changed = await store.update(with_metadata(made, labels={"n": "1"}))
        assert revision_of(changed) == revision_of(made) + 1
        assert revision_of(await other.get(made.key)) == revision_of(made) + 4

    run(etcd, ["answer"], scenario)


def test_an_update_that_came_too_late_below_others_is_a_conflict(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, _: Losing) -> None:
        made = await other.create(network_set("a"))
        await store.get(made.key)  # so that it relies on that, and finds out by the transaction
        for by in "xyz":
            await other.update(network_set("a", by=by))
        with pytest.raises(Conflict):
            await store.update(with_metadata(made, labels={"n": "1"}))

    run(etcd, ["answer"], scenario)


@pytest.mark.parametrize("hidden", ["compacted", "made anew"])
def test_an_update_whose_fate_is_hidden_is_told_as_unknown(etcd: EtcdServer, hidden: str) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, losing: Losing) -> None:
        made = await other.create(network_set("a"))

        async def hide() -> None:
            if hidden == "made anew":
                await other.delete(made.key)
                await other.create(network_set("a"))
            else:
                for by in "xyz":
                    await other.update(network_set("a", by=by))
                await other.compact(await other.revision())

        losing.between = hide
        with pytest.raises(Unavailable, match="may or may not have been done"):
            await store.update(with_metadata(made, labels={"n": "1"}))

    run(etcd, ["answer"], scenario)


@pytest.mark.parametrize("loss", ["request", "answer"])
def test_a_delete_that_went_unanswered_is_done(etcd: EtcdServer, loss: str) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, _: Losing) -> None:
        made = await other.create(network_set("a"))
        assert await store.delete(made.key) == made
        with pytest.raises(NotFound):
            await other.get(made.key)

    run(etcd, [loss], scenario)


def test_a_delete_does_not_take_a_later_object_of_that_name(etcd: EtcdServer) -> None:
    async def scenario(store: EtcdDatastore, other: EtcdDatastore, losing: Losing) -> None:
        made = await other.create(network_set("a"))
        losing.between = lambda: other.create(network_set("a"))
        with pytest.raises(Unavailable, match="may or may not have been done"):
            await store.delete(made.key)
        assert (await other.get(made.key)).metadata.uid != made.metadata.uid

    run(etcd, ["answer"], scenario)


fates = st.lists(st.sampled_from(["", "request", "answer"]), max_size=4)


@settings(max_examples=12, deadline=None)
@given(st.lists(fates, min_size=2, max_size=3))
def test_a_counter_counts_each_acknowledged_step_once(
    shared_etcd: EtcdServer, scripts: list[list[str]]
) -> None:
    """Several count at once while answers get lost: nothing lost, nothing doubled."""
    key = Key("NetworkSet", "default", "counter")

    async def body() -> None:
        connections = [Losing(shared_etcd.client) for _ in scripts]
        for connection, script in zip(connections, scripts, strict=True):
            connection.losses = iter(script)
        stores = [await EtcdDatastore.open(shared_etcd.client) for _ in connections]
        sound = await EtcdDatastore.open(shared_etcd.client)
        await _made_anew(sound, key)
        for store, connection in zip(stores, connections, strict=True):
            await store.close()
            store._connection = connection
        told = await asyncio.gather(*(_count(store, key) for store in stores))
        done = sum(sure for sure, _ in told)
        unknown = sum(unsure for _, unsure in told)
        count = int((await sound.get(key)).metadata.labels["n"])
        assert done <= count <= done + unknown
        for store in (*stores, sound):
            await store.close()

    asyncio.run(body())


async def _made_anew(store: EtcdDatastore, key: Key) -> None:
    with suppress(NotFound):
        await store.delete(key)
    await store.create(network_set(key.name, n="0"))


async def _count(store: EtcdDatastore, key: Key) -> tuple[int, int]:
    """How many steps were acknowledged, and of how many nobody knows."""
    sure = unsure = 0
    for _ in range(4):
        try:
            await update_with(store, key, _one_more)
            sure += 1
        except DatastoreError:
            unsure += 1
    return sure, unsure


def _one_more(resource: Resource) -> Resource:
    return with_metadata(resource, labels={"n": str(int(resource.metadata.labels["n"]) + 1)})
