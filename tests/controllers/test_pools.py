"""Pools say whether they give addresses; one that is deleted waits for those that are in use."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from servers.etcd import EtcdServer
from servers.kube import KubeServer
from strategies.ipam import ask, blocks_in, pool
from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    IPAMConfiguration,
    IPAMConfigurationSpec,
    IPPool,
    Key,
    ObjectMeta,
)
from tortie.controllers.conditions import condition, with_condition
from tortie.controllers.pools import Pools, StillHeld
from tortie.datastore import Datastore, Listing, NotFound, open_datastore
from tortie.datastore.finalizers import delete_or_mark, finalizers_of, guarded
from tortie.datastore.memory import MemoryDatastore
from tortie.datastore.settings import CRD_V1, CRD_V3, DatastoreSettings, EtcdSettings
from tortie.ipam import IPAM, Exhausted, NoPool
from tortie.ipam.audit import audit
from tortie.ipam.holding import holding, net_of
from tortie.ipam.names import Owner, affinity_key
from tortie.ipam.records import read_records
from tortie.ipam.retiring import FINALIZER, retire_pool
from tortie.ipam.splitting import split_pool
from tortie.ipam.standing import ALLOCATABLE, standings
from tortie.ipam.types import FixedRequest
from tortie.net import Prefix, parse_network

KEY = Key("IPPool", "", "p")
GOING = "2024-01-01T00:00:00Z"


def made(name: str, cidr: str, at: int = 0, going: bool = False, **spec: object) -> IPPool:
    found = pool(name, cidr, **spec)
    metadata = replace(
        found.metadata,
        creation_timestamp=f"2024-01-01T00:00:{at:02}Z",
        deletion_timestamp=GOING if going else None,
    )
    return replace(found, metadata=metadata)


def given_already(found: IPPool) -> IPPool:
    return with_condition(found, ALLOCATABLE, "OK", "", GOING)


@pytest.mark.parametrize(
    ("pools", "reasons"),
    [
        ([made("a", "10.0.0.0/24"), made("b", "10.0.1.0/24")], "OK OK"),
        ([made("a", "10.0.0.0/24", 2), made("b", "10.0.0.0/16", 1)], "CIDROverlap OK"),
        ([made("b", "10.0.0.0/24"), made("a", "10.0.0.0/24")], "CIDROverlap OK"),  # of one second
        ([made("a", "10.0.0.0/24", disabled=True), made("b", "10.0.0.0/24", 1)], "PoolDisabled OK"),
        ([made("a", "10.0.0.0/24", going=True), made("b", "10.1.0.0/24", 1)], "Terminating OK"),
        (
            [made("a", "10.0.0.0/24", going=True), made("b", "10.0.0.0/25", 1)],
            "Terminating CIDROverlap",
        ),
        (
            [made("a", "10.0.0.0/24", 1), given_already(made("b", "10.0.0.0/25", 2))],
            "CIDROverlap OK",
        ),
        ([made("a", "nonsense"), made("b", "10.0.0.0/25")], "CIDRInvalid OK"),
        ([made("a", "::/0"), made("b", "0.0.0.0/0")], "OK OK"),
        (
            [made("a", "10.0.0.0/8"), made("b", "10.0.0.0/24", 1), made("c", "10.1.0.0/24", 2)],
            "OK CIDROverlap CIDROverlap",
        ),
    ],
)
def test_of_pools_that_overlap_the_older_gives_addresses(pools: list[IPPool], reasons: str) -> None:
    found = standings(pools)
    assert [found[one.metadata.name].reason for one in pools] == reasons.split()


NETS = st.builds(
    lambda address, length: f"{parse_network(f'10.0.{address}.0/24')}".replace("/24", f"/{length}"),
    st.sampled_from([0, 16, 32]),
    st.sampled_from([20, 24, 26]),
)
SOME_POOLS = st.lists(
    st.builds(
        lambda cidr, at, going, disabled: (cidr, at, going, disabled),
        NETS,
        st.integers(0, 3),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
)


@given(SOME_POOLS, st.randoms())
def test_those_that_give_are_apart_and_the_order_of_reading_does_not_matter(
    drawn: list[tuple[str, int, bool, bool]], chance: object
) -> None:
    pools = [
        made(f"p{place}", cidr, at, going, disabled=disabled)
        for place, (cidr, at, going, disabled) in enumerate(drawn)
    ]
    found = standings(pools)
    giving = [one for one in pools if found[one.metadata.name].is_allocatable]
    nets = sorted(net for one in giving if (net := net_of(one)))
    assert not any(a.contains(b) for a, b in pairwise(nets))
    for one in pools:  # nobody loses but to somebody who is there
        if found[one.metadata.name].reason == "CIDROverlap":
            own = net_of(one)
            rivals = [net_of(other) for other in pools if other is not one]
            assert any(net and own and (net.contains(own) or own.contains(net)) for net in rivals)
    mixed = list(pools)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert standings(mixed) == found


def test_ipam_takes_nothing_of_a_pool_that_is_going_or_lost_an_overlap() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(made("p", "10.0.0.0/24", going=True))
        with pytest.raises(NoPool, match="is being deleted"):
            await IPAM(store).auto_assign(ask())
        await store.create(pool("q", "10.0.0.0/24"))
        with pytest.raises(NoPool, match=r"overlaps with 10\.0\.0\.0/24 of IPPool p"):
            await IPAM(store).auto_assign(ask(pools4=("q",)))

    asyncio.run(body())


async def all_left(store: Datastore) -> list[Prefix]:
    """Every address that there is, to several nodes, of which each begins elsewhere."""
    found: list[Prefix] = []
    with suppress(Exhausted):
        while True:
            number = len(found)
            asked = ask(f"n{number % 7}", f"more.{number}")
            found += (await IPAM(store).auto_assign(asked)).ips
    return found


@pytest.mark.parametrize(("before", "after"), [(26, 28), (28, 26)])
def test_another_block_size_gives_nothing_that_an_older_pools_block_has(
    before: int, after: int
) -> None:
    """The older pool is gone, its block is not: an address in two blocks would be a double."""

    async def body() -> None:
        store = MemoryDatastore()
        await store.create(pool("old", "10.0.0.0/26", block_size=before))
        held = list((await IPAM(store).auto_assign(ask(handle="h1"))).ips)
        await store.delete(Key("IPPool", "", "old"))
        await store.create(pool("new", "10.0.0.0/25", block_size=after))
        held += await all_left(store)
        assert len(set(held)) == len(held)
        nets = sorted(parse_network(block.spec.cidr) for block in await blocks_in(store))
        assert len(nets) > 1
        assert not any(one.contains(other) for one, other in pairwise(nets))

    asyncio.run(body())


async def seen(store: Datastore, settled: int = 0) -> IPPool:
    """Reconcile it; as it is then."""
    with suppress(StillHeld):
        await Pools(store, settled).reconcile(KEY)
    found = await store.get(KEY)
    assert isinstance(found, IPPool)
    return found


async def whole_life(store: Datastore) -> None:
    """Marked as allocatable, deleted while in use, gone once it is not."""
    ipam = IPAM(store)
    await store.create(pool("p", "10.0.0.0/24", block_size=28, nat_outgoing=True))
    found = await seen(store)
    assert finalizers_of(found) == (FINALIZER,)
    said = condition(found, ALLOCATABLE)
    assert said
    assert (said.status, said.reason) == ("True", "OK")
    again = await seen(store)
    assert again.metadata.resource_version == found.metadata.resource_version
    about = {"namespace": "shop", "pod": "web-1", "node": "n1"}
    await ipam.auto_assign(ask(attributes=about))
    await ipam.auto_assign(ask("n2", "h2"))
    await ipam.release_by_handle("h2")
    assert "(Pod shop/web-1 on n1)" in await retire_pool(store, KEY)
    waits = await seen(store)
    said = condition(waits, ALLOCATABLE)
    assert said
    assert (said.status, said.reason) == ("False", "Terminating")
    assert "1 of its addresses are in use: 10.0.0." in said.message
    assert "(Pod shop/web-1 on n1)" in said.message
    assert waits.spec.nat_outgoing  # what is in use goes on as it did
    assert [block.spec.affinity for block in await blocks_in(store)] == [None]
    with pytest.raises(NoPool):
        await ipam.auto_assign(ask(handle="h3"))
    await ipam.release_by_handle("h1")
    with pytest.raises(NotFound):
        await seen(store)
    assert audit(await read_records(store)).findings == ()


async def after_a_split(store: Datastore) -> None:
    """The parts have its addresses as well: nothing holds the pool, and nobody loses one."""
    ipam = IPAM(store)
    await store.create(pool("p", "10.0.0.0/24", block_size=28))
    found = await seen(store)
    held = (await ipam.auto_assign(ask())).ips
    await split_pool(store, found, 2)
    with pytest.raises(NotFound):
        await seen(store)
    assert await ipam.addresses_of("h1") == held
    assert len((await ipam.auto_assign(ask(handle="h2"))).ips) == 1
    findings = audit(await read_records(store)).findings
    assert [one for one in findings if one.what == "no pool"] == []


STORIES = [whole_life, after_a_split]


@pytest.mark.parametrize("story", STORIES)
def test_in_memory(story: Callable[[Datastore], Awaitable[None]]) -> None:
    asyncio.run(story(MemoryDatastore()))


@pytest.mark.parametrize("story", STORIES)
def test_on_etcd(etcd: EtcdServer, story: Callable[[Datastore], Awaitable[None]]) -> None:
    asyncio.run(opened(EtcdSettings(endpoints=(etcd.endpoint,)), story))


@pytest.mark.parametrize("group", [CRD_V1, CRD_V3])
@pytest.mark.parametrize("story", STORIES)
def test_on_a_kube_apiserver(
    kube: KubeServer, story: Callable[[Datastore], Awaitable[None]], group: str
) -> None:
    asyncio.run(opened(kube.client(group), story))


async def opened(
    settings: DatastoreSettings, story: Callable[[Datastore], Awaitable[None]]
) -> None:
    store = await open_datastore(settings)
    try:
        await story(store)
    finally:
        await store.close()


def test_what_had_begun_before_it_was_marked_is_waited_for() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(pool("p", "10.0.0.0/24"))
        await seen(store)
        await delete_or_mark(store, KEY)
        assert await seen(store, settled=3600)

    asyncio.run(body())


def claim(node: str, cidr: str, deleted: bool = False) -> BlockAffinity:
    metadata = ObjectMeta(name=affinity_key(Owner(node), parse_network(cidr)).name)
    spec = BlockAffinitySpec(state="pending", node=node, type="host", cidr=cidr, deleted=deleted)
    return BlockAffinity(metadata=metadata, spec=spec)


class Claiming(MemoryDatastore):
    """A node claims a block once all claims were given up, and before anybody looks again."""

    looks = 0

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        if kind == "BlockAffinity":
            self.looks += 1
            if self.looks == 2:
                await self.create(claim("n1", "10.0.0.64/26"))
        return await super().list(kind, namespace)


def test_a_claim_that_is_just_made_is_waited_for_too() -> None:
    """Its node makes the block next."""

    async def body() -> None:
        store = Claiming()
        await store.create(pool("p", "10.0.0.0/24"))
        await seen(store)
        await delete_or_mark(store, KEY)
        waits = await seen(store)
        said = condition(waits, ALLOCATABLE)
        assert said
        assert "nodes give up their blocks of it" in said.message
        with pytest.raises(NotFound):
            await seen(store)

    asyncio.run(body())


def test_a_claim_that_another_program_was_deleting_holds_nothing() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(pool("p", "10.0.0.0/24"))
        await seen(store)
        await store.create(claim("n1", "10.0.0.64/26", deleted=True))
        assert await retire_pool(store, KEY) == ""

    asyncio.run(body())


def test_of_two_that_go_together_neither_lets_go_what_is_held() -> None:
    """Each covers the other's addresses, but will not for long."""

    async def body() -> None:
        store = MemoryDatastore()
        for name, cidr in (("p", "10.0.0.0/24"), ("q", "10.0.0.0/16")):
            await store.create(guarded(pool(name, cidr), FINALIZER))
        await IPAM(store).assign_fixed(
            FixedRequest(address=parse_network("10.0.0.9/32"), node="n1", handle="h1")
        )
        for name in ("q", "p"):
            await delete_or_mark(store, Key("IPPool", "", name))
        assert await seen(store)
        await IPAM(store).release_by_handle("h1")
        with pytest.raises(NotFound):
            await seen(store)

    asyncio.run(body())


def test_a_pool_that_nobody_uses_goes_at_once_with_or_without_controllers() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(pool("p", "10.0.0.0/24"))
        await seen(store)
        await IPAM(store).auto_assign(ask())
        await IPAM(store).release_by_handle("h1")
        assert await retire_pool(store, KEY) == ""
        with pytest.raises(NotFound):
            await store.get(KEY)
        assert await blocks_in(store) == []

    asyncio.run(body())


def test_somebody_elses_finalizer_is_waited_for_and_named() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(guarded(pool("p", "10.0.0.0/24"), "example.org/mine"))
        await seen(store)
        assert "example.org/mine" in await retire_pool(store, KEY)
        found = await store.get(KEY)
        assert finalizers_of(found) == ("example.org/mine",)

    asyncio.run(body())


def test_what_holds_a_pool_is_named_ten_at_most() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(pool("p", "10.0.0.0/24"))
        await IPAM(store).auto_assign(ask(count4=12))
        found = holding(pool("p", "10.0.0.0/24"), [], await blocks_in(store), [])
        assert found.text.startswith("12 of its addresses are in use: 10.0.0.")
        assert found.text.endswith(" and 2 more")
        await IPAM(store).release([found.blocks[0].network._replace(length=32)])
        some = holding(pool("p", "10.0.0.0/24"), [], await blocks_in(store), [])
        assert some.text.startswith("11 of its addresses are in use: 10.0.0.")
        cooling = IPAMConfiguration(
            metadata=ObjectMeta(name="default"), spec=IPAMConfigurationSpec(ip_cooldown_seconds=60)
        )
        await store.create(cooling)
        await IPAM(store).release_by_handle("h1")
        rests = holding(pool("p", "10.0.0.0/24"), [], await blocks_in(store), [])
        assert rests.text == "11 cool down"
        covered = holding(
            pool("p", "10.0.0.0/24"), [pool("q", "10.0.0.0/16")], await blocks_in(store), []
        )
        assert covered.blocks == ()

    asyncio.run(body())
