"""Assigning, releasing, borrowing, claiming: over a store in memory."""

import asyncio
from typing import cast

import pytest
from msgspec.structs import replace

from strategies.ipam import ask, blocks_in, configuration, pool, run
from tortie.api import (
    BlockAffinity,
    BlockAffinitySpec,
    IPAMBlock,
    Namespace,
    Node,
    NodeSpec,
    ObjectMeta,
    Resource,
)
from tortie.datastore import Datastore, NotFound
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import (
    IPAM,
    AlreadyAssigned,
    Exhausted,
    FixedRequest,
    IpamError,
    NoPool,
    ReleaseRequest,
)
from tortie.ipam.affinities import Affinities
from tortie.ipam.names import Owner, affinity_key, block_key, handle_key
from tortie.net import Prefix, parse_network

V4, V6 = pool("v4", "10.0.0.0/24", block_size=28), pool("v6", "fd00::/120", block_size=124)


def test_an_address_is_recorded_with_block_affinity_and_handle() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        (address,) = (await ipam.auto_assign(ask(attributes={"pod": "x"}))).ips
        (block,) = await blocks_in(store)
        assert address.is_single
        assert parse_network(block.spec.cidr).contains(address)
        assert block.spec.affinity == "host:n1"
        assert block.spec.attributes[0].secondary["pod"] == "x"
        claim = await store.get(affinity_key(Owner("n1"), parse_network(block.spec.cidr)))
        assert cast(BlockAffinity, claim).spec.state == "confirmed"
        assert await ipam.addresses_of("h1") == (address,)
        assert (await store.get(handle_key("h1"))).metadata.name == "h1"

    run(V4, scenario=scenario)


def test_a_release_gives_all_back_and_may_be_repeated() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        given = (await ipam.auto_assign(ask(count4=3, count6=2))).ips
        assert [address.version for address in given] == [4, 4, 4, 6, 6]
        assert sorted(await ipam.release_by_handle("h1")) == sorted(given)
        assert await ipam.release_by_handle("h1") == ()
        assert await ipam.addresses_of("h1") == ()
        with pytest.raises(NotFound):
            await store.get(handle_key("h1"))

    run(V4, V6, scenario=scenario)


def test_a_released_address_is_given_again_as_late_as_possible() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        (first,) = (await ipam.auto_assign(ask())).ips
        await ipam.release_by_handle("h1")
        rest = [(await ipam.auto_assign(ask(handle=f"x{n}"))).ips[0] for n in range(16)]
        assert rest.index(first) == 15

    run(V4, scenario=scenario)


def test_a_node_takes_from_its_own_block_while_it_can() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        for number in range(16):
            await ipam.auto_assign(ask(handle=f"a{number}"))
            await ipam.auto_assign(ask("n2", f"b{number}"))
        blocks = await blocks_in(store)
        assert sorted(str(block.spec.affinity) for block in blocks) == ["host:n1", "host:n2"]
        await ipam.auto_assign(ask(handle="a16"))
        assert len(await blocks_in(store)) == 3

    run(V4, scenario=scenario)


def test_many_addresses_span_blocks() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        given = (await ipam.auto_assign(ask(count4=40))).ips
        assert len(set(given)) == 40
        assert sorted(await ipam.addresses_of("h1")) == sorted(given)

    run(V4, scenario=scenario)


def test_a_full_pool_lends_from_other_nodes_blocks() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask("n1", "h1"))
        await ipam.auto_assign(ask("n2", "h2"))
        (borrowed,) = (await ipam.auto_assign(ask("n3", "h3"))).ips
        owners = {parse_network(block.spec.cidr): block for block in await blocks_in(store)}
        assert next(cidr for cidr in owners if cidr.contains(borrowed))
        assert all(block.spec.affinity != "host:n3" for block in owners.values())

    run(pool("p", "10.0.0.0/27", block_size=28), scenario=scenario)


def test_strict_affinity_lends_nothing() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask("n1", "h1"))
        with pytest.raises(Exhausted, match=r"n2: 1 missing in p \(10.*strictAffinity"):
            await ipam.auto_assign(ask("n2", "h2"))
        assert await ipam.addresses_of("h2") == ()

    run(
        pool("p", "10.0.0.0/28", block_size=28),
        configuration(strict_affinity=True),
        scenario=scenario,
    )


def test_a_block_whose_own_affinity_is_strict_is_its_nodes_alone() -> None:
    """As it stays after the configuration was strict once."""

    async def scenario(store: Datastore, _: IPAM) -> None:
        await IPAM(store).auto_assign(ask("n1", "h1"))
        (block,) = await blocks_in(store)
        await store.update(replace(block, spec=replace(block.spec, strict_affinity=True)))
        with pytest.raises(Exhausted):
            await IPAM(store).auto_assign(ask("n2", "h2"))
        await IPAM(store).auto_assign(ask("n1", "h3"))

    run(pool("p", "10.0.0.0/28", block_size=28), scenario=scenario)


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_nothing_is_taken_of_a_block_that_is_being_deleted(node: str) -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask("n1", "h1"))
        (block,) = await blocks_in(store)
        await store.update(replace(block, spec=replace(block.spec, deleted=True)))
        for asked in (ipam, IPAM(store)):  # one that remembers the block, one that reads it
            with pytest.raises(Exhausted):
                await asked.auto_assign(ask(node, "h2"))
        (block,) = await blocks_in(store)
        assert sum(index is not None for index in block.spec.allocations) == 1

    run(pool("p", "10.0.0.0/28", block_size=28), scenario=scenario)


def test_an_exhausted_pool_takes_nothing_of_what_it_could_not_give_whole() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        with pytest.raises(Exhausted):
            await ipam.auto_assign(ask(count4=17))
        with pytest.raises(NoPool):
            await ipam.auto_assign(ask(count4=1, count6=1))
        assert (await store.list("IPAMHandle")).resources == ()
        assert len((await ipam.auto_assign(ask(count4=16))).ips) == 16

    run(pool("p", "10.0.0.0/28", block_size=28), scenario=scenario)


@pytest.mark.parametrize(("limit", "blocks"), [(0, 20), (3, 3)])
def test_a_node_claims_no_more_blocks_than_it_may(limit: int, blocks: int) -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        with pytest.raises(Exhausted, match=f"at most {blocks} blocks"):
            await ipam.auto_assign(ask(count4=4 * blocks + 1))
        assert len(await blocks_in(store)) == blocks

    run(
        pool("p", "10.0.0.0/24", block_size=30),
        configuration(max_blocks_per_host=limit, strict_affinity=True),
        scenario=scenario,
    )


def test_blocks_are_not_claimed_where_that_is_forbidden() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        with pytest.raises(Exhausted):
            await ipam.auto_assign(ask())

    run(V4, configuration(auto_allocate_blocks=False), scenario=scenario)


def test_labels_of_node_and_namespace_choose_the_pool() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        (address,) = (await ipam.auto_assign(ask(namespace="web"))).ips
        assert parse_network("10.1.0.0/24").contains(address)
        (address,) = (await ipam.auto_assign(ask(attributes={"namespace": "web"}))).ips
        assert parse_network("10.1.0.0/24").contains(address)
        with pytest.raises(NoPool, match=r"a \(nodeSelector.*b \(namespaceSelector"):
            await ipam.auto_assign(ask(namespace="db"))

    run(
        pool("a", "10.0.0.0/24", node_selector="rack == '2'"),
        pool("b", "10.1.0.0/24", node_selector="rack == '1'", namespace_selector="app == 'web'"),
        Node(metadata=ObjectMeta(name="n1", labels={"rack": "1"}), spec=NodeSpec()),
        Namespace(metadata=ObjectMeta(name="web", labels={"app": "web"})),
        scenario=scenario,
    )


def test_tunnels_get_addresses_of_pools_for_tunnels() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        (address,) = (await ipam.auto_assign(ask(handle="t", use="Tunnel"))).ips
        assert parse_network("10.1.0.0/24").contains(address)

    run(
        pool("a", "10.0.0.0/24", allowed_uses=("Workload",)),
        pool("b", "10.1.0.0/24", allowed_uses=("Tunnel",)),
        scenario=scenario,
    )


def test_a_fixed_address_is_given_once() -> None:
    wanted = Prefix.single(4, parse_network("10.0.0.77").address)

    async def scenario(_: Datastore, ipam: IPAM) -> None:
        request = FixedRequest(address=wanted, node="n1", handle="h1", attributes={"pod": "x"})
        assert (await ipam.assign_fixed(request)).ips == (wanted,)
        assert (await ipam.assign_fixed(request)).ips == (wanted,)
        assert await ipam.addresses_of("h1") == (wanted,)
        with pytest.raises(AlreadyAssigned, match=r"10\.0\.0\.77 is held by Pod /x .handle h1"):
            await ipam.assign_fixed(FixedRequest(address=wanted, node="n2", handle="h2"))
        await ipam.release_by_handle("h1")
        await ipam.assign_fixed(FixedRequest(address=wanted, node="n2", handle="h2"))

    run(V4, scenario=scenario)


@pytest.mark.parametrize(
    ("address", "reason"),
    [("10.9.0.1", "in no IPPool"), ("10.0.0.1", "disabled"), ("10.1.0.1", "allowedUses")],
)
def test_a_fixed_address_outside_fit_pools_is_refused(address: str, reason: str) -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        with pytest.raises(NoPool, match=reason):
            await ipam.assign_fixed(
                FixedRequest(address=parse_network(address), node="n1", handle="h")
            )

    run(
        pool("a", "10.0.0.0/24", disabled=True),
        pool("b", "10.1.0.0/24", allowed_uses=("Tunnel",)),
        scenario=scenario,
    )


def test_a_fixed_address_of_another_nodes_block_is_refused_where_affinity_is_strict() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        (given,) = (await ipam.auto_assign(ask("n1", "h1"))).ips
        other = Prefix.single(4, given.address ^ 1)
        with pytest.raises(Exhausted, match="host:n1"):
            await ipam.assign_fixed(FixedRequest(address=other, node="n2", handle="h2"))

    run(V4, configuration(strict_affinity=True), scenario=scenario)


def test_addresses_can_be_released_by_themselves() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        first, second = (await ipam.auto_assign(ask(count4=2))).ips
        assert await ipam.release([first, first]) == (first,)
        assert await ipam.release([first]) == ()
        assert await ipam.addresses_of("h1") == (second,)
        assert await ipam.release([ReleaseRequest(address=second, handle="other")]) == ()
        assert await ipam.release([ReleaseRequest(address=second, handle="h1")]) == (second,)

    run(V4, scenario=scenario)


def test_a_gone_node_keeps_no_block_but_its_addresses_stay_held() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask("n1", "h1", count4=17))
        await ipam.release_by_handle("h1")
        (kept,) = (await ipam.auto_assign(ask("n1", "h2"))).ips
        await ipam.release_node("n1")
        (block,) = await blocks_in(store)
        assert block.spec.affinity is None
        assert (await store.list("BlockAffinity")).resources == ()
        assert await ipam.addresses_of("h2") == (kept,)
        await ipam.release_by_handle("h2")
        assert await blocks_in(store) == []

    run(V4, scenario=scenario)


@pytest.mark.parametrize("state", ["pending", "pendingDeletion", "confirmed"])
@pytest.mark.parametrize("with_block", [True, False])
def test_half_done_claims_are_finished(state: str, with_block: bool) -> None:
    """As a crash leaves them, at each step of claiming and of releasing."""
    cidr = parse_network("10.0.0.0/28")

    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask())
        await ipam.release_by_handle("h1")
        claim = cast(BlockAffinity, await store.get(affinity_key(Owner("n1"), cidr)))
        await store.update(replace(claim, spec=replace(claim.spec, state=state)))
        if not with_block:
            await store.delete(block_key(cidr))
        for _ in range(2):
            await IPAM(store).auto_assign(ask(handle="h2"))
        claim = cast(BlockAffinity, await store.get(affinity_key(Owner("n1"), cidr)))
        assert claim.spec.state == "confirmed"
        assert cast(IPAMBlock, await store.get(block_key(cidr))).spec.affinity == "host:n1"

    run(pool("p", "10.0.0.0/28", block_size=28), scenario=scenario)


def test_a_block_that_names_the_node_without_a_claim_is_claimed_again() -> None:
    cidr = parse_network("10.0.0.0/28")

    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask())
        await store.delete(affinity_key(Owner("n1"), cidr))
        await IPAM(store).auto_assign(ask(handle="h2"))
        assert (await store.get(affinity_key(Owner("n1"), cidr))).key

    run(
        pool("p", "10.0.0.0/28", block_size=28),
        configuration(strict_affinity=True),
        scenario=scenario,
    )


def test_a_claim_to_anothers_block_is_dropped() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask("n1", "h1"))
        claim = cast(BlockAffinity, (await store.list("BlockAffinity")).resources[0])
        spec = type(claim.spec)(state="pending", node="n2", type="host", cidr=claim.spec.cidr)
        await store.create(BlockAffinity(metadata=ObjectMeta(name="n2-x"), spec=spec))
        wrong = affinity_key(Owner("n2"), parse_network(claim.spec.cidr))
        await store.create(BlockAffinity(metadata=ObjectMeta(name=wrong.name), spec=spec))
        await ipam.auto_assign(ask("n2", "h2"))
        with pytest.raises(NotFound):
            await store.get(wrong)

    run(V4, scenario=scenario)


@pytest.mark.parametrize(
    "damage",
    [{"cidr": "nonsense"}, {"allocations": (None,)}, {"unallocated": (1, 1)}, {"attributes": ()}],
)
def test_a_damaged_block_is_named_and_stops_no_other(damage: dict[str, object]) -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(V4)
        ipam = IPAM(store)
        await ipam.auto_assign(ask())
        (block,) = await blocks_in(store)
        await store.update(replace(block, spec=replace(block.spec, **damage)))
        for node in ("n1", "n2"):
            (address,) = (await IPAM(store).auto_assign(ask(node, f"{node}-new"))).ips
            assert await ipam.addresses_of(f"{node}-new") == (address,)
        with pytest.raises(IpamError, match=f"{block.metadata.name}.*is damaged"):
            await ipam.release_by_handle("h1")

    asyncio.run(body())


def test_a_no_pool_error_is_an_ipam_error() -> None:
    async def scenario(_: Datastore, ipam: IPAM) -> None:
        with pytest.raises(IpamError, match="there are no pools"):
            await ipam.auto_assign(ask())

    run(scenario=scenario)


class GivenUp(MemoryDatastore):
    """A node's claim is marked to go once its block is made, and before it is confirmed."""

    async def create(self, resource: Resource) -> Resource:
        done = await super().create(resource)
        if isinstance(done, IPAMBlock):
            (claim,) = cast(tuple[BlockAffinity, ...], (await self.list("BlockAffinity")).resources)
            going = replace(claim, spec=replace(claim.spec, state="pendingDeletion"))
            await self.update(going)
        return done


def test_a_claim_that_is_given_up_while_it_is_made_leaves_nothing() -> None:
    async def body() -> None:
        store = GivenUp()
        affinities = Affinities(store, lambda: "2026-01-01T00:00:00Z")
        assert await affinities.claim(Owner("n1"), parse_network("10.0.0.0/30"), False) is None
        assert await blocks_in(store) == []
        assert (await store.list("BlockAffinity")).resources == ()

    asyncio.run(body())


def test_a_claim_that_is_being_given_up_is_nobodys_to_use() -> None:
    async def body() -> None:
        store, cidr = MemoryDatastore(), parse_network("10.0.0.0/30")
        spec = BlockAffinitySpec(state="pendingDeletion", node="n1", type="host", cidr=str(cidr))
        name = affinity_key(Owner("n1"), cidr).name
        claim = await store.create(BlockAffinity(metadata=ObjectMeta(name=name), spec=spec))
        affinities = Affinities(store, lambda: "2026-01-01T00:00:00Z")
        assert await affinities.claim(Owner("n1"), cidr, False) is None
        assert await blocks_in(store) == []
        assert (await store.list("BlockAffinity")).resources == (claim,)

    asyncio.run(body())


@pytest.mark.parametrize("whole", ["node", "pool"])
def test_a_damaged_block_keeps_no_other_when_all_are_given_up(whole: str) -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        await ipam.auto_assign(ask(count4=12))
        first, *others = sorted(await blocks_in(store), key=lambda one: one.spec.cidr)
        assert len(others) == 2
        await store.update(replace(first, spec=replace(first.spec, unallocated=(0, 0))))

        async def give_up() -> None:
            if whole == "node":
                await ipam.release_node("n1")
            else:
                await ipam.release_pool(parse_network("10.0.0.0/24"))

        with pytest.raises(IpamError, match=f"{first.metadata.name}.* is damaged"):
            await give_up()
        found = {one.metadata.name: one.spec.affinity for one in await blocks_in(store)}
        assert found == {
            first.metadata.name: "host:n1",
            **{one.metadata.name: None for one in others},
        }
        await store.update(replace(await store.get(first.key), spec=first.spec))  # repaired
        await give_up()
        assert {one.spec.affinity for one in await blocks_in(store)} == {None}

    run(pool("p", "10.0.0.0/24", block_size=30), scenario=scenario)


def test_a_load_balancers_address_is_of_a_block_that_no_node_has() -> None:
    async def scenario(store: Datastore, ipam: IPAM) -> None:
        request = ask(node="n1", use="LoadBalancer", handle="lb-1")
        (address,) = (await ipam.auto_assign(request)).ips
        (block,) = await blocks_in(store)
        assert block.spec.affinity == "virtual:load-balancer"
        await ipam.release_node("n1")
        await ipam.release_node("load-balancer")  # a node of this name has nothing to do with it
        (claim,) = (await store.list("BlockAffinity")).resources
        assert cast(BlockAffinity, claim).spec.type == "virtual"
        assert await ipam.addresses_of("lb-1") == (address,)
        again = (await ipam.auto_assign(ask(node="n2", use="LoadBalancer", handle="lb-2"))).ips
        assert parse_network(block.spec.cidr).contains(again[0])

    balancers = pool("p", "10.0.0.0/24", block_size=28, allowed_uses=("LoadBalancer",))
    run(balancers, scenario=scenario)


def test_a_block_made_anew_gives_no_number_of_the_one_before() -> None:
    """A release that comes very late must not take away what a later workload was given."""

    async def scenario(store: Datastore, ipam: IPAM) -> None:
        later = IPAM(store, lambda: "2099-01-01T00:00:00Z")
        released = []
        for one in (ipam, later):
            (address,) = (await one.auto_assign(ask())).ips
            (block,) = await blocks_in(store)
            (since,) = block.spec.sequence_number_for_allocation.values()
            assert 0 <= since < 2**53
            released.append(ReleaseRequest(address=address, handle="h1", sequence=since))
            if one is ipam:
                await one.release_by_handle("h1")
                await one.release_node("n1")
        first, second = released
        assert first.address == second.address
        assert await ipam.release([first]) == ()
        assert await ipam.release([second]) == (second.address,)

    run(pool("p", "10.0.0.0/30", block_size=30), scenario=scenario)
