"""Reservations, addresses that cool down, blocks that another node leaves unused."""

import pytest

from strategies.ipam import ask, blocks_in, configuration, pool, run
from tortie.api import IPReservation, IPReservationSpec, ObjectMeta
from tortie.datastore import Datastore, NotFound
from tortie.ipam import IPAM, Exhausted, FixedRequest
from tortie.ipam.names import Owner, affinity_key
from tortie.net import Prefix, parse_network

V4 = pool("v4", "10.0.0.0/24", block_size=28)
NIGHT = "2024-01-01T00:00:%02dZ"


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NIGHT % 0

    def __call__(self) -> str:
        return self.now


def reservation(name: str, *cidrs: str) -> IPReservation:
    return IPReservation(
        metadata=ObjectMeta(name=name), spec=IPReservationSpec(reserved_cidrs=cidrs)
    )


@pytest.mark.parametrize(
    ("cidrs", "left"),
    [
        (("10.0.0.0/31",), [2, 3]),
        (("10.0.0.1", "10.0.0.3"), [0, 2]),
        (("10.0.0.0/8",), []),
        (("fd00::/8", "10.0.1.0/24"), [0, 1, 2, 3]),
    ],
)
def test_a_reserved_address_is_given_only_to_who_asks_for_it(
    cidrs: tuple[str, ...], left: list[int]
) -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        first = parse_network("10.0.0.0").address
        if left:
            given = await ipam.auto_assign(ask(count4=len(left)))
            assert sorted(one.address - first for one in given.ips) == left
        with pytest.raises(Exhausted):
            await ipam.auto_assign(ask(handle="h2"))
        for ordinal in sorted({0, 1, 2, 3} - set(left)):
            address = Prefix.single(4, first + ordinal)
            fixed = FixedRequest(address=address, node="n1", handle=f"f{ordinal}")
            assert (await ipam.assign_fixed(fixed)).ips == (address,)

    reserved = reservation("r", *cidrs)
    run(pool("p", "10.0.0.0/30", block_size=30), reserved, scenario=scenario)


def test_a_block_that_is_reserved_is_not_claimed() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        (address,) = (await ipam.auto_assign(ask())).ips
        assert parse_network("10.0.0.4/30").contains(address)
        assert len(await blocks_in(store)) == 1

    reserved = reservation("r", "10.0.0.0/31", "10.0.0.2/31", "10.0.0.8/29")
    run(pool("p", "10.0.0.0/28", block_size=30), reserved, scenario=scenario)


def test_a_released_address_cools_down_before_it_is_given_again() -> None:
    async def scenario(store: Datastore, _: IPAM) -> None:
        clock = Clock()
        ipam = IPAM(store, clock)
        held = (await ipam.auto_assign(ask(count4=4))).ips
        assert await ipam.release_by_handle("h1") == held
        assert await ipam.addresses_of("h1") == ()
        assert await ipam.release(held) == ()  # it is nobody's, though not free
        clock.now = NIGHT % 29
        with pytest.raises(Exhausted):
            await ipam.auto_assign(ask())
        clock.now = NIGHT % 30
        assert set((await ipam.auto_assign(ask(count4=4))).ips) == set(held)

    cool = configuration(ip_cooldown_seconds=30)
    run(pool("p", "10.0.0.0/30", block_size=30), cool, scenario=scenario)


def test_who_asks_for_an_address_gets_it_while_it_cools_down() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        (address,) = (await ipam.auto_assign(ask())).ips
        await ipam.release([address])
        await ipam.assign_fixed(FixedRequest(address=address, node="n1", handle="h2"))
        assert await ipam.addresses_of("h2") == (address,)

    run(V4, configuration(ip_cooldown_seconds=1200), scenario=scenario)


def test_what_was_never_used_does_not_cool_down() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        with pytest.raises(Exhausted):
            await ipam.auto_assign(ask(count4=5))
        assert len((await ipam.auto_assign(ask(count4=4))).ips) == 4

    cool = configuration(ip_cooldown_seconds=1200)
    run(pool("p", "10.0.0.0/30", block_size=30), cool, scenario=scenario)


def test_blocks_of_nobody_go_once_they_have_cooled_down() -> None:
    async def scenario(store: Datastore, _: IPAM) -> None:
        clock = Clock()
        ipam = IPAM(store, clock)
        await ipam.auto_assign(ask(count4=20))
        await ipam.release_by_handle("h1")
        await ipam.release_node("n1")
        await ipam.release_cooled()
        assert len(await blocks_in(store)) == 2
        clock.now = NIGHT % 10
        await ipam.release_cooled()
        assert await blocks_in(store) == []

    run(V4, configuration(ip_cooldown_seconds=10), scenario=scenario)


@pytest.mark.parametrize("strict", [False, True])
def test_an_unused_block_of_another_node_is_taken_over_where_there_is_no_other(
    strict: bool,
) -> None:
    async def scenario(store: Datastore, _: IPAM) -> None:
        clock = Clock()
        ipam, other = IPAM(store, clock), IPAM(store, clock)
        await ipam.auto_assign(ask())
        await ipam.release_by_handle("h1")
        clock.now = "2024-01-01T00:01:00Z"
        await other.auto_assign(ask(node="n2", handle="h2"))
        (block,) = await blocks_in(store)
        assert block.spec.affinity == "host:n2"
        with pytest.raises(NotFound):
            await store.get(affinity_key(Owner("n1"), parse_network("10.0.0.0/30")))
        with pytest.raises(Exhausted):  # what n1 knew of its block is out of date
            await ipam.auto_assign(ask(count4=4))

    one = pool("p", "10.0.0.0/30", block_size=30)
    run(one, configuration(strict_affinity=strict), scenario=scenario)


def test_a_block_that_was_claimed_just_now_is_left_to_its_node() -> None:
    async def scenario(store: Datastore, _: IPAM) -> None:
        ipam = IPAM(store, Clock())
        await ipam.auto_assign(ask())
        await ipam.release_by_handle("h1")
        with pytest.raises(Exhausted):
            await ipam.auto_assign(ask(node="n2", handle="h2"))

    one = pool("p", "10.0.0.0/30", block_size=30)
    run(one, configuration(strict_affinity=True), scenario=scenario)
