"""One container id for two: each has its own addresses or an error, and gives back only its own."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from strategies.ipam import ask, blocks_in, check_consistent, pool, run
from tortie.api import IPAMHandle, IPAMHandleSpec, Key, ObjectMeta, Resource
from tortie.datastore import Datastore
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AlreadyAssigned, Assignment, FixedRequest, ReturnRequest
from tortie.ipam.errors import HandleTaken, IpamError
from tortie.ipam.holders import is_anothers
from tortie.net import Prefix, parse_prefix

A = {"node": "n1", "namespace": "shop", "pod": "a"}
B = {"node": "n1", "namespace": "shop", "pod": "b"}
LONE = {"node": "n1", "container": "c1"}
FAR = {"node": "n2", "container": "c1"}
NODE = {"node": "n1"}
POOL = pool("p", "10.0.0.0/24", block_size=26)


@pytest.mark.parametrize(
    ("noted", "by", "answer"),
    [
        (A, A, False),
        (A, B, True),
        (A, {**A, "namespace": "lab"}, True),
        (A, {**A, "node": "renamed"}, False),
        (A, LONE, True),
        (LONE, A, True),
        (LONE, LONE, False),
        (LONE, FAR, True),
        (A, NODE, False),
        (A, {"node": "n2"}, True),
        (A, {}, False),
        (LONE, NODE, False),
        ({}, A, False),
        (NODE, A, False),
        ({"node": "n2"}, LONE, True),
        ({"type": "vxlanTunnelAddress", "node": "n1"}, {}, False),
        ({**A, "timestamp": "x", "plugin": "macvlan", "container": "c1"}, A, False),
        ({**A, "timestamp": "x", "plugin": "macvlan", "container": "c1"}, B, True),
        ({**LONE, "plugin": "macvlan", "network": "n"}, LONE, False),
    ],
)
def test_only_what_both_say_can_contradict(
    noted: dict[str, str], by: dict[str, str], answer: bool
) -> None:
    assert is_anothers(noted, by) is answer


async def given(ipam: IPAM, by: dict[str, str], node: str = "n1") -> tuple[Prefix, ...]:
    (found,) = await ipam.lease([ask(node, "h", attributes=by)])
    assert isinstance(found, Assignment), found
    return found.ips


def scene(play: Callable[[Datastore, IPAM], Awaitable[None]], *pools: Resource) -> None:
    run(*(pools or (POOL,)), scenario=play)


def test_a_second_pod_gets_an_error_that_names_the_first_and_what_to_do() -> None:
    async def play(store: Datastore, ipam: IPAM) -> None:
        del store
        (address,) = await given(ipam, A)
        found, other = await ipam.lease([ask(handle="h", attributes=B), ask(handle="h2")])
        assert isinstance(found, HandleTaken)
        text = str(address).partition("/")[0]
        for word in ("Pod shop/b", "Pod shop/a on n1", text, "handle h", "id of its own"):
            assert word in str(found)
        assert isinstance(other, Assignment)
        assert await given(ipam, A) == (address,)
        with pytest.raises(HandleTaken):
            await ipam.kept("h", B)
        assert await ipam.kept("h", A) == (address,)

    scene(play)


def test_who_is_named_gives_back_only_its_own() -> None:
    async def play(store: Datastore, ipam: IPAM) -> None:
        held = await given(ipam, A)
        before = await store.get(Key("IPAMHandle", "", "h"))
        assert await ipam.release_by_handles([ReturnRequest(handle="h", by=B)]) == [()]
        assert await ipam.addresses_of("h") == held
        assert await ipam.addresses_of("h", B) == ()
        assert await store.get(Key("IPAMHandle", "", "h")) == before
        assert await ipam.release_by_handles([ReturnRequest(handle="h", by=A)]) == [held]
        assert (await store.list("IPAMHandle")).resources == ()

    scene(play)


@pytest.mark.parametrize("by", [{}, NODE])
def test_who_names_nobody_gives_back_what_the_handle_has(by: dict[str, str]) -> None:
    async def play(store: Datastore, ipam: IPAM) -> None:
        held = await given(ipam, A)
        assert await ipam.release_by_handles([ReturnRequest(handle="h", by=by)]) == [held]
        assert (await store.list("IPAMHandle")).resources == ()

    scene(play)


@pytest.mark.parametrize("noted", [{}, NODE, {"timestamp": "2020-01-01T00:00:00Z"}])
def test_what_says_nothing_of_its_holder_is_whose_handle_it_has(noted: dict[str, str]) -> None:
    """An upgraded cluster's data."""

    async def play(store: Datastore, ipam: IPAM) -> None:
        held = (await ipam.auto_assign(ask(handle="h", attributes=noted))).ips
        assert await given(ipam, A) == held
        assert await ipam.release_by_handles([ReturnRequest(handle="h", by=A)]) == [held]
        assert (await store.list("IPAMHandle")).resources == ()

    scene(play)


def test_containers_of_two_nodes_that_are_called_alike_have_addresses_of_their_own() -> None:
    """Each node's ids are its own: CNI asks for no more."""

    async def play(store: Datastore, ipam: IPAM) -> None:
        near = await given(ipam, LONE)
        far = await given(ipam, FAR, "n2")
        assert set(near).isdisjoint(far)
        assert await given(ipam, LONE) == near
        assert await given(ipam, FAR, "n2") == far
        assert await ipam.release_by_handles([ReturnRequest(handle="h", by=LONE)]) == [near]
        (handle,) = (await store.list("IPAMHandle")).resources
        assert isinstance(handle, IPAMHandle)
        assert sum(handle.spec.block.values()) == 1
        assert await ipam.addresses_of("h") == far
        assert await ipam.release_by_handles([ReturnRequest(handle="h", by=FAR)]) == [far]
        assert (await store.list("IPAMHandle")).resources == ()

    scene(play)
    scene(play, pool("p", "10.0.0.0/30", block_size=30))  # of one block


def test_several_that_are_given_back_at_once_leave_what_is_others() -> None:
    async def play(store: Datastore, ipam: IPAM) -> None:
        del store
        near, far = await given(ipam, LONE), await given(ipam, FAR, "n2")
        (other,) = await ipam.lease([ask(handle="h2", attributes=A)])
        assert isinstance(other, Assignment)
        requests = [ReturnRequest(handle="h", by=FAR), ReturnRequest(handle="h2", by=A)]
        assert await ipam.release_by_handles(requests) == [far, other.ips]
        assert await ipam.addresses_of("h") == near

    scene(play)


def test_a_handle_that_tells_of_no_block_fails_alone() -> None:
    """As a hand may have written it: what goes together with it is given back all the same."""

    async def play(store: Datastore, ipam: IPAM) -> None:
        held = await given(ipam, A)
        broken = IPAMHandleSpec(handle_id="bad", block={"nonsense": 1})
        await store.create(IPAMHandle(metadata=ObjectMeta(name="bad"), spec=broken))
        requests = [ReturnRequest(handle="bad"), ReturnRequest(handle="h", by=A)]
        problem, freed = await ipam.release_by_handles(requests)
        assert isinstance(problem, IpamError)
        assert "IPAM handle bad" in str(problem)
        assert "nonsense" in str(problem)
        assert freed == held
        assert isinstance(await store.get(Key("IPAMHandle", "", "bad")), IPAMHandle)

    scene(play)


def test_one_address_by_name_is_one_holders() -> None:
    async def play(store: Datastore, ipam: IPAM) -> None:
        del store
        address = parse_prefix("10.0.0.9")
        wanted = FixedRequest(address=address, node="n1", handle="h", attributes=A)
        for _ in range(2):
            assert (await ipam.assign_fixed(wanted)).ips == (address,)
        with pytest.raises(AlreadyAssigned, match="Pod shop/a on n1"):
            await ipam.assign_fixed(
                FixedRequest(address=address, node="n1", handle="h", attributes=B)
            )

    scene(play)


class Meddled(MemoryDatastore):
    """Does something else right before the handle is written or deleted."""

    meddle: Callable[[], Awaitable[object]] | None = None

    async def update(self, resource: Resource) -> Resource:
        await self._first(resource.key)
        return await super().update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        await self._first(key)
        return await super().delete(key, revision)

    async def _first(self, key: Key) -> None:
        meddle = self.meddle
        if key.kind == "IPAMHandle" and meddle is not None:
            self.meddle = None
            await meddle()


@pytest.mark.parametrize("both", [False, True])
def test_another_nodes_container_may_come_while_the_handle_is_given_back(both: bool) -> None:
    """It is deleted or lowered at the revision that was read, and each goes on with its own."""

    async def body() -> None:
        store = Meddled()
        await store.create(POOL)
        ipam, there = IPAM(store), IPAM(store)
        near = await given(ipam, LONE)
        third = {**FAR, "node": "n3"}
        if both:
            await given(there, third, "n3")
        store.meddle = lambda: given(there, FAR, "n2")
        assert await ipam.release_by_handles([ReturnRequest(handle="h", by=LONE)]) == [near]
        await check_consistent(store)
        (handle,) = (await store.list("IPAMHandle")).resources
        assert isinstance(handle, IPAMHandle)
        assert sum(handle.spec.block.values()) == 1 + both
        for about, node in ((FAR, "n2"), (third, "n3")):
            assert len(await ipam.addresses_of("h", about)) == int(both or node == "n2")
            await ipam.release_by_handles([ReturnRequest(handle="h", by=about)])
        assert (await store.list("IPAMHandle")).resources == ()
        assert all(not one.spec.attributes for one in await blocks_in(store))

    asyncio.run(body())


def test_it_costs_no_further_request() -> None:
    """A burst's price: what is asked of the datastore is the same with and without a name."""

    async def count(by: dict[str, str]) -> list[str]:
        class Counted(MemoryDatastore):
            asked: tuple[str, ...] = ()

            async def get(self, key: Key) -> Resource:
                self.asked = (*self.asked, f"get {key.kind}")
                return await super().get(key)

            async def update(self, resource: Resource) -> Resource:
                self.asked = (*self.asked, f"update {resource.key.kind}")
                return await super().update(resource)

        store = Counted()
        await store.create(POOL)
        ipam = IPAM(store)
        handles = [f"h{number}" for number in range(5)]
        await ipam.lease([ask(handle=one, attributes=by) for one in handles])
        await ipam.release_by_handles([ReturnRequest(handle=one, by=by) for one in handles])
        return sorted(store.asked)

    assert asyncio.run(count(A)) == asyncio.run(count({}))
