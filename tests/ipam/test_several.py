"""Several requests at once: what is the same for all is done once, and each stands for itself."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from strategies.ipam import ask, blocks_in, check_consistent, pool
from tortie.api import IPAMHandle, IPAMHandleSpec, Key, ObjectMeta, Resource
from tortie.datastore import Invalid, Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, Assignment, NoPool
from tortie.ipam.errors import HandleFull
from tortie.net import Prefix


class Watched(MemoryDatastore):
    """Counts operations by kind; `before` is called with each write's key, and may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.done = Counter[str]()
        self.unreadable = ""
        self.before: Callable[[str, Key], Awaitable[None]] | None = None

    async def get(self, key: Key) -> Resource:
        if key.name == self.unreadable:
            raise Invalid("as told")
        return await super().get(key)

    async def create(self, resource: Any) -> Any:
        await self._saw("create", resource.key)
        return await super().create(resource)

    async def update(self, resource: Any) -> Any:
        await self._saw("update", resource.key)
        return await super().update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Any:
        await self._saw("delete", key)
        return await super().delete(key, revision)

    async def _saw(self, what: str, key: Key) -> None:
        self.done[f"{what} {key.kind}"] += 1
        if self.before is not None:
            await self.before(what, key)


def scene(play: Callable[[Watched, IPAM], Awaitable[None]], *pools: Resource) -> None:
    """A node that knows its block, because it had an address of it a moment ago."""

    async def body() -> None:
        store = Watched()
        for one in pools or (pool("p", "10.0.0.0/24", block_size=26),):
            await store.create(one)
        ipam = IPAM(store)
        await ipam.auto_assign(ask(handle="before"))
        store.done.clear()
        await play(store, ipam)
        store.before = None
        await check_consistent(store)

    asyncio.run(body())


def given(answers: list[Assignment | Exception]) -> list[tuple[Prefix, ...]]:
    for one in answers:
        assert isinstance(one, Assignment), one
    return [one.ips for one in answers if isinstance(one, Assignment)]


def test_all_get_their_addresses_in_one_write_of_the_block() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        handles = [f"h{number}" for number in range(30)]
        found = given(await ipam.lease([ask(handle=one) for one in handles]))
        assert len({one for ips in found for one in ips}) == 30
        assert store.done["update IPAMBlock"] == 1
        assert store.done["create IPAMHandle"] == 30
        for handle, ips in zip(handles, found, strict=True):
            assert await ipam.addresses_of(handle) == ips

    scene(play)


def test_all_are_given_back_in_one_write_of_the_block() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        handles = [f"h{number}" for number in range(30)]
        found = given(await ipam.lease([ask(handle=one) for one in handles]))
        store.done.clear()
        assert await ipam.release_by_handles([*handles, "nobody"]) == [*found, ()]
        assert store.done["update IPAMBlock"] == 1
        assert store.done["delete IPAMHandle"] == 30
        assert len((await store.list("IPAMHandle")).resources) == 1

    scene(play)


def test_a_handle_that_holds_addresses_already_gets_these() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        first = given(await ipam.lease([ask(handle="a"), ask(handle="b")]))
        again = given(await ipam.lease([ask(handle="c"), ask(handle="a"), ask(handle="b")]))
        assert again[1:] == first
        assert store.done["create IPAMHandle"] == 3

    scene(play)


@pytest.mark.parametrize("first", [4, 6])
def test_who_had_begun_with_one_ip_version_gets_the_other_and_keeps_what_it_has(first: int) -> None:
    pools = [pool("p4", "10.0.0.0/24"), pool("p6", "fd00::/120")]

    async def play(store: Watched, ipam: IPAM) -> None:
        del store
        begun = await ipam.auto_assign(
            ask(handle="h", count4=int(first == 4), count6=int(first == 6))
        )
        both, other = given(
            await ipam.lease([ask(handle=one, count4=1, count6=1) for one in ("h", "other")])
        )
        assert [one.version for one in both] == [one.version for one in other] == [4, 6]
        assert set(begun.ips) < set(both)
        assert await ipam.addresses_of("h") == both

    scene(play, *pools)


def test_what_was_held_before_stays_where_the_rest_is_not_to_be_had() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        del store
        begun = await ipam.auto_assign(ask(handle="h"))
        (answer,) = await ipam.lease([ask(handle="h", count4=1, count6=1)])
        assert isinstance(answer, NoPool)
        assert await ipam.addresses_of("h") == begun.ips

    scene(play)


def test_a_nodes_first_requests_share_the_block_that_the_first_of_them_claims() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        handles = [f"h{number}" for number in range(20)]
        given(await ipam.lease([ask("n2", one) for one in handles]))
        assert store.done["create IPAMBlock"] == 1
        assert store.done["update IPAMBlock"] == 2

    scene(play)


def test_more_than_a_block_has_go_on_in_the_next() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        found = given(await ipam.lease([ask(handle=f"h{number}") for number in range(12)]))
        assert len({one for ips in found for one in ips}) == 12
        assert len(await blocks_in(store)) == 4
        assert store.done["update IPAMBlock"] < 9

    scene(play, pool("p", "10.0.0.0/28", block_size=30))


def test_both_families_or_none() -> None:
    pools = [pool("p4", "10.0.0.0/24"), pool("p6", "fd00::/122", block_size=126)]

    async def play(store: Watched, ipam: IPAM) -> None:
        del store
        for number in range(61):  # three of 64 are left
            await ipam.auto_assign(ask(handle=f"more{number}", count4=0, count6=1))
        requests = [ask(handle=f"h{number}", count4=1, count6=1) for number in range(6)]
        answers = await ipam.lease(requests)
        whole = [one for one in answers if isinstance(one, Assignment)]
        assert len(whole) == 3
        assert [[ip.version for ip in one.ips] for one in whole] == [[4, 6]] * len(whole)
        for number, one in enumerate(answers):
            held = await ipam.addresses_of(f"h{number}")
            assert held == (one.ips if isinstance(one, Assignment) else ())

    scene(play, *pools)


def test_who_asks_for_many_or_of_another_node_is_served_beside_the_others() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        del store
        requests = [ask("n1", "a"), ask("n2", "b"), ask("n1", "c", count4=5), ask("n2", "d")]
        found = given(await ipam.lease([*requests, ask("n1", "e")]))
        assert [len(ips) for ips in found] == [1, 1, 5, 1, 1]
        assert len({one for ips in found for one in ips}) == 9

    scene(play)


def test_one_that_fails_does_not_fail_the_others() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        async def refuse(what: str, key: Key) -> None:
            if (what, key.name) == ("create", "lost"):
                raise Unavailable("as told")

        store.before = refuse
        requests = [
            ask(handle="a"),
            ask(handle="nowhere", pools4=("absent",)),
            ask(handle="lost"),
            ask(handle="b"),
        ]
        first, no_pool, lost, last = await ipam.lease(requests)
        assert isinstance(no_pool, NoPool)
        assert isinstance(lost, Unavailable)
        assert len(given([first, last])) == 2
        assert store.done["update IPAMBlock"] == 1

    scene(play)


def test_a_handle_that_may_have_no_more_fails_alone() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        async def another(what: str, key: Key) -> None:
            """Somebody else gives it one, between the picture and the raising."""
            if (what, key.name) == ("create", "full"):
                store.before = None
                await IPAM(store).auto_assign(ask("n2", "full", most=1))

        store.before = another
        answers = await ipam.lease([ask(handle="a"), ask(handle="full", most=1), ask(handle="b")])
        assert isinstance(answers[1], HandleFull)
        assert len(given([answers[0], answers[2]])) == 2
        assert len(await ipam.addresses_of("full")) == 1

    scene(play)


def test_who_finds_the_block_changed_looks_again() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        async def another(what: str, key: Key) -> None:
            if (what, key.kind) == ("update", "IPAMBlock"):
                store.before = None
                await IPAM(store).auto_assign(ask(handle="faster"))

        store.before = another
        found = given(await ipam.lease([ask(handle=f"h{number}") for number in range(8)]))
        everyone = [*found, await ipam.addresses_of("faster"), await ipam.addresses_of("before")]
        assert len({one for ips in everyone for one in ips}) == 10
        for handle in (await store.list("IPAMHandle")).resources:
            assert isinstance(handle, IPAMHandle)
            assert list(handle.spec.block.values()) == [1]

    scene(play)


@pytest.mark.parametrize("taken", [False, True])
def test_where_the_block_can_not_be_written_all_hear_of_it_and_nothing_is_lost(taken: bool) -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        async def broken(what: str, key: Key) -> None:
            if (what, key.kind) == ("update", "IPAMBlock"):
                store.before = None
                if taken:  # it was written, and the answer was lost
                    await IPAM(store).auto_assign(ask(handle="a"))
                raise Unavailable("as told")

        store.before = broken
        answers = await ipam.lease([ask(handle="a"), ask(handle="b")])
        assert [type(one) for one in answers] == [Unavailable] * 2
        freed = await ipam.release_by_handles(["a", "b"])
        assert [len(one) for one in freed if isinstance(one, tuple)] == [int(taken), 0]
        assert len((await store.list("IPAMHandle")).resources) == 1

    scene(play)


def test_a_return_that_fails_does_not_fail_the_others() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        given(await ipam.lease([ask(handle="a"), ask(handle="b"), ask("n2", "c")]))

        async def refuse(what: str, key: Key) -> None:
            if (what, key.name) == ("delete", "b"):
                raise Unavailable("as told")

        store.before = refuse
        first, second, third = await ipam.release_by_handles(["a", "b", "c"])
        assert isinstance(second, Unavailable)
        assert isinstance(first, tuple)
        assert isinstance(third, tuple)
        assert (len(first), len(third)) == (1, 1)
        store.before = None
        assert await ipam.release_by_handle("b") == ()  # only the handle was left
        assert len((await store.list("IPAMHandle")).resources) == 1

    scene(play)


def test_what_a_handle_gets_while_it_is_given_back_goes_too() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        given(await ipam.lease([ask(handle="a"), ask(handle="b")]))

        async def more(what: str, key: Key) -> None:
            if (what, key.name) == ("delete", "b"):
                store.before = None
                await IPAM(store).auto_assign(ask("n2", "b"))

        store.before = more
        freed = await ipam.release_by_handles(["a", "b"])
        assert [len(one) for one in freed if isinstance(one, tuple)] == [1, 2]
        assert await ipam.addresses_of("b") == ()

    scene(play)


def test_a_handle_that_can_not_be_read_fails_alone() -> None:
    async def play(store: Watched, ipam: IPAM) -> None:
        spec = IPAMHandleSpec(handle_id="bad", block={"10.0.0.0/26": 1})
        metadata = ObjectMeta(name="bad")
        await store.create(IPAMHandle(metadata=metadata, spec=spec))

        store.unreadable = "bad"
        answers = await ipam.lease([ask(handle="a"), ask(handle="bad"), ask(handle="b")])
        assert isinstance(answers[1], Invalid)
        assert len(given([answers[0], answers[2]])) == 2
        freed = await ipam.release_by_handles(["a", "bad"])
        assert isinstance(freed[1], Invalid)
        assert len(freed[0]) == 1  # type: ignore[arg-type]

    scene(play)
