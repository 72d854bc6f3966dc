"""Small scenes in every order and with a crash anywhere: no address is doubled or lost."""

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from strategies.explorer import Actor, Explorer, World, unasked
from strategies.ipam import blocks_in, check_consistent, configuration, pool
from tortie.api import IPAMHandle, IPAMHandleSpec, ObjectMeta
from tortie.datastore import AlreadyExists, Datastore, DatastoreError, retry
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AssignRequest, IpamError, ReturnRequest
from tortie.net import Prefix, parse_network

FIRST, SECOND = ((parse_network(f"10.0.0.{place}/32"),) for place in (0, 1))
LATER = "2030-01-01T00:00:00Z"
Before = Callable[[IPAM], Awaitable[object]]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_LONGEST", 0)


def assigning(node: str, handle: str) -> Actor:
    """A node that wants one address."""

    async def play(store: Datastore) -> None:
        try:
            await ipam_of(store).auto_assign(AssignRequest(node=node, handle=handle))
        except (IpamError, DatastoreError):
            return

    return play


def leasing(node: str, handles: list[str]) -> Actor:
    """A node that wants an address for each handle at once, and knows its block."""

    async def play(store: Datastore) -> None:
        ipam = ipam_of(store)
        for block in await blocks_in(unasked(store)):
            ipam._ground.blocks.last[parse_network(block.spec.cidr)] = block
        with suppress(IpamError, DatastoreError):
            await ipam.lease([AssignRequest(node=node, handle=one) for one in handles])

    return play


def returning(handles: list[str]) -> Actor:
    """A node that gives back what several handles have, at once."""

    async def play(store: Datastore) -> None:
        with suppress(IpamError, DatastoreError):
            await ipam_of(store).release_by_handles(handles)

    return play


def near(node: str) -> dict[str, str]:
    """How a container is described that is called as another node's is."""
    return {"node": node, "container": "one"}


def ending(node: str, own: tuple[Prefix, ...]) -> Actor:
    """A node that gives back what its container of that name has, and nothing else."""

    async def play(store: Datastore) -> None:
        request = ReturnRequest(handle="one", by=near(node))
        with suppress(IpamError, DatastoreError):
            (freed,) = await ipam_of(store).release_by_handles([request])
            assert isinstance(freed, Exception) or freed in ((), own)

    return play


def releasing(handle: str) -> Actor:
    """A node that gives back what a handle has."""

    async def play(store: Datastore) -> None:
        try:
            await ipam_of(store).release_by_handle(handle)
        except (IpamError, DatastoreError):
            return

    return play


def leaving(node: str) -> Actor:
    """A controller that sees to a node that is gone."""

    async def play(store: Datastore) -> None:
        try:
            await ipam_of(store).release_node(node)
        except (IpamError, DatastoreError):
            return

    return play


def ipam_of(store: Datastore) -> IPAM:
    return IPAM(store, lambda: LATER)


async def one_held(ipam: IPAM) -> None:
    await ipam.auto_assign(AssignRequest(node="a", handle="a1"))


async def one_left(ipam: IPAM) -> None:
    await one_held(ipam)
    await ipam.release_by_handle("a1")


async def both_held(ipam: IPAM) -> None:
    await ipam.lease([AssignRequest(node="a", handle=one) for one in ("a1", "a2")])


async def namesakes(ipam: IPAM) -> None:
    for node in ("a", "b"):
        await ipam.lease([AssignRequest(node=node, handle="one", attributes=near(node))])


async def nothing(ipam: IPAM) -> None:
    del ipam


LARGEST = "one takes over what the other takes from"  # 30 s with crashes
LARGER = "two go together beside another"  # minutes with crashes
LARGE = (LARGEST, LARGER, "two go together while a node leaves")
SCENES = {
    "two nodes want the only block": (nothing, [assigning("a", "a1"), assigning("b", "b1")]),
    "one takes while the other gives back": (one_held, [releasing("a1"), assigning("a", "a2")]),
    "one lends while the other leaves": (one_held, [leaving("a"), assigning("b", "b1")]),
    LARGEST: (one_left, [assigning("a", "a2"), assigning("b", "b1")]),
    "two go together while one gives back": (
        one_held,
        [leasing("a", ["a2", "a3"]), releasing("a1")],
    ),
    LARGER: (
        one_left,
        [leasing("a", ["a2", "a3"]), assigning("b", "b1")],
    ),
    "two go together": (one_left, [leasing("a", ["a2", "a3"])]),
    "two go together while a node leaves": (
        one_held,
        [leasing("a", ["a2", "a3"]), leaving("a")],
    ),
    "two are given back together while one is taken": (
        both_held,
        [returning(["a1", "a2"]), assigning("a", "a3")],
    ),
    "two are given back together, and one of them alone": (
        both_held,
        [returning(["a1", "a2"]), releasing("a2")],
    ),
    "containers of two nodes have one name": (namesakes, [ending("a", FIRST), ending("b", SECOND)]),
    "one is given back twice": (one_held, [releasing("a1"), releasing("a1")]),
}


@pytest.mark.parametrize("scene", SCENES)
def test_no_order_and_no_crash_doubles_or_loses_an_address(scene: str) -> None:
    before, actors = SCENES[scene]
    crashes = 1 if scene not in LARGE or os.environ.get("TORTIE_SLOW") else 0
    world = World(prepared(before), actors, check_consistent, check_end, crashes)
    assert Explorer(world).walk() > 10


def prepared(before: Before) -> Callable[[MemoryDatastore], Awaitable[None]]:
    """A block of two addresses, and what happened earlier."""

    async def prepare(store: MemoryDatastore) -> None:
        await store.create(pool("p", "10.0.0.0/31", block_size=31))
        await store.create(configuration())
        await before(IPAM(store, lambda: "2024-01-01T00:00:00Z"))

    return prepare


async def check_end(store: MemoryDatastore) -> None:
    """Whatever a crash left is found by handles and claims, and both addresses can be had."""
    ipam = ipam_of(store)
    await check_consistent(store)
    for handle in (await store.list("IPAMHandle")).resources:
        assert isinstance(handle, IPAMHandle)
        await ipam.release_by_handle(handle.spec.handle_id)
    for node in ("a", "b"):
        await ipam.release_node(node)
    assert await blocks_in(store) == []
    given = await ipam.auto_assign(AssignRequest(node="last", handle="last", count4=2))
    assert len(set(given.ips)) == 2


@pytest.mark.parametrize("both", [False, True])
def test_the_explorer_finds_the_order_that_goes_wrong(both: bool) -> None:
    """Each makes a handle named by how many there are: two that count at once make only one."""

    async def adding(store: Datastore) -> None:
        count = len((await store.list("IPAMHandle")).resources)
        with suppress(AlreadyExists):
            await store.create(
                IPAMHandle(
                    metadata=ObjectMeta(name=f"h{count}"),
                    spec=IPAMHandleSpec(handle_id=f"h{count}", block={}),
                )
            )

    async def fine(store: MemoryDatastore) -> None:
        del store

    actors = [adding] * (2 if both else 1)
    ends: set[int] = set()

    async def end(store: MemoryDatastore) -> None:
        ends.add(len((await store.list("IPAMHandle")).resources))

    Explorer(World(fine, actors, fine, end, crashes=0)).walk()
    assert ends == ({1, 2} if both else {1})
