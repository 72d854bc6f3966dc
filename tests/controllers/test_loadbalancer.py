"""What Services of type LoadBalancer ask for, get, keep and give back."""

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from strategies.services import (
    check_no_double,
    condition,
    held_of,
    lb_pool,
    service,
    services_in,
)
from tortie.api import IPPool, Key, Namespace, ObjectMeta
from tortie.api.kube.service import Service
from tortie.controllers.loadbalancer.balancer import Balancer, Unmet
from tortie.controllers.loadbalancer.plan import Plan, plan
from tortie.controllers.loadbalancer.status import showing, shown, without
from tortie.controllers.loadbalancer.wishes import Wish, attributes_of, handle_of, is_ours, wish_of
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.net import Prefix, parse_network

V4, V6, LBS = (
    "projectcalico.org/ipv4pools",
    "projectcalico.org/ipv6pools",
    "projectcalico.org/loadBalancerIPs",
)
KEY = Key("Service", "shop", "web")


def ip(text: str) -> Prefix:
    return parse_network(text)


@pytest.mark.parametrize(
    ("found", "every", "ours"),
    [
        (service(), True, True),
        (service(), False, False),
        (service(type="ClusterIP"), True, False),
        (service(type="NodePort"), True, False),
        (service(load_balancer_class="calico"), True, True),
        (service(load_balancer_class="calico"), False, True),
        (service(load_balancer_class="cloud"), True, False),
        (service(load_balancer_class="cloud", annotations={LBS: '["192.0.2.1"]'}), False, False),
        (service(annotations={V4: '["p"]'}), False, True),
        (service(annotations={V6: '["p"]'}), False, True),
        (service(annotations={LBS: '["192.0.2.1"]'}), False, True),
        (service(annotations={LBS: ""}), False, False),
    ],
)
def test_class_annotations_and_the_setting_say_which_services_are_ours(
    found: Service, every: bool, ours: bool
) -> None:
    assert is_ours(found, every) is ours


@pytest.mark.parametrize(
    ("spec", "versions"),
    [
        ({}, (4,)),
        ({"ip_families": ["IPv6"]}, (6,)),
        ({"ip_families": ["IPv6", "IPv4"]}, (6, 4)),
        ({"cluster_ips": ("fd00::1", "10.0.0.1")}, (6, 4)),
        ({"cluster_ip": "fd00::1"}, (6,)),
        ({"cluster_ip": "None"}, (4,)),
    ],
)
def test_the_families_are_the_services(spec: dict[str, object], versions: tuple[int, ...]) -> None:
    assert wish_of(service(**spec)).versions == versions


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({LBS: "192.0.2.1"}, "no list"),
        ({LBS: "[1]"}, "no list"),
        ({LBS: '["nonsense"]'}, "no address"),
        ({LBS: '["192.0.2.1/32"]'}, "no address"),
        ({LBS: '["192.0.2.1", "192.0.2.2"]'}, "several IPv4"),
        ({LBS: '["fd00::1"]'}, "ipFamilies"),
        ({V4: "pool"}, "no list"),
        ({V6: "{}"}, "no list"),
    ],
)
def test_annotations_that_cannot_be_meant_are_named(annotations: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        wish_of(service(annotations=annotations))
    assert next(iter(annotations)) in str(raised.value)


def test_the_handle_is_calicos() -> None:
    """base64 of a SHA-256 of name, namespace and UID, without what names can't have."""
    found = handle_of(service())
    assert found.startswith("lb-")
    assert found[3:].isalnum()
    assert found == handle_of(service(annotations={LBS: "[]"}))
    assert found != handle_of(service("other"))
    noted = {"service": "web", "namespace": "shop", "type": "LoadBalancer"}  # Calico's words
    assert attributes_of(service()) == noted


POOLS = (
    lb_pool("one", "192.0.2.0/26"),
    lb_pool("two", "192.0.2.64/26"),
    lb_pool("asked", "192.0.2.128/26", assignment_mode="Manual"),
    lb_pool("off", "192.0.2.192/26", disabled=True),
    lb_pool("six", "fd00::/122"),
)
A, A2, B, M, D, GONE = map(
    ip, ("192.0.2.1", "192.0.2.2", "192.0.2.65", "192.0.2.129", "192.0.2.193", "198.51.100.1")
)
S = ip("fd00::1")


def wish(*versions: int, addresses: tuple[Prefix, ...] = (), **pools: tuple[str, ...]) -> Wish:
    return Wish(
        versions or (4,),
        {one.version: one for one in addresses},
        {int(name[1:]): named for name, named in pools.items()},
    )


@pytest.mark.parametrize(
    ("wanted", "held", "shows", "expected"),
    [
        (wish(), (), (), Plan(any_of=(4,))),
        (wish(4, 6), (), (), Plan(any_of=(4, 6))),
        (wish(4, 6), (A,), (A,), Plan(kept=(A,), any_of=(6,))),
        (wish(), (A, S), (A, S), Plan(kept=(A,), dropped=(S,))),
        (wish(), (A,), (), Plan(kept=(A,))),  # held, not yet shown: after a crash
        (wish(), (A, A2), (A2,), Plan(kept=(A2,), dropped=(A,))),  # two assigned it at once
        (wish(), (D,), (D,), Plan(kept=(D,))),  # a disabled pool gives nothing new
        (wish(), (GONE,), (GONE,), Plan(dropped=(GONE,), any_of=(4,))),
        (wish(), (M,), (M,), Plan(replaced=(M,), any_of=(4,))),
        (wish(v4=("asked",)), (M,), (M,), Plan(kept=(M,))),
        (wish(v4=("two",)), (A,), (A,), Plan(replaced=(A,), any_of=(4,))),
        (wish(v4=("192.0.2.64/26",)), (B,), (B,), Plan(kept=(B,))),
        (wish(v4=("two",)), (A, B), (A,), Plan(kept=(B,), dropped=(A,))),  # crash while replacing
        (wish(addresses=(B,)), (A,), (A,), Plan(replaced=(A,), fixed=(B,))),
        (wish(addresses=(B,)), (B,), (), Plan(kept=(B,))),
        (wish(addresses=(B,)), (A, B), (A,), Plan(kept=(B,), dropped=(A,))),
        (wish(addresses=(M,)), (), (), Plan(fixed=(M,))),  # by name also of a manual pool
        (wish(4, 6, addresses=(S,)), (), (), Plan(fixed=(S,), any_of=(4,))),
    ],
)
def test_what_works_stays_until_what_is_asked_for_is_had(
    wanted: Wish, held: tuple[Prefix, ...], shows: tuple[Prefix, ...], expected: Plan
) -> None:
    assert plan(wanted, held, shows, POOLS) == expected


ADDRESSES = st.lists(st.sampled_from([A, A2, B, M, D, GONE, S]), unique=True)


@given(
    st.sampled_from([(4,), (6,), (4, 6)]),
    st.lists(st.sampled_from([A, B, M, GONE]), max_size=1),
    st.lists(st.sampled_from(["one", "two", "asked", "nosuch"]), unique=True),
    ADDRESSES,
    ADDRESSES,
)
def test_a_plan_speaks_of_each_held_address_once_and_of_each_family_once(
    versions: tuple[int, ...],
    asked: list[Prefix],
    pools: list[str],
    held: list[Prefix],
    shows: list[Prefix],
) -> None:
    wanted = wish(*versions, addresses=tuple(asked), v4=tuple(pools))
    found = plan(wanted, held, shows, POOLS)
    assert sorted((*found.kept, *found.replaced, *found.dropped)) == sorted(held)
    had = [one.version for one in (*found.kept, *found.fixed)] + list(found.any_of)
    assert sorted(had) == sorted(versions)
    assert GONE not in (*found.kept, *found.replaced)


def test_a_status_keeps_what_is_not_ours_to_say() -> None:
    before = {
        "loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}, {"ip": "192.0.2.9"}]},
        "conditions": [{"type": "Other", "status": "True"}],
    }
    found = service(status=before)
    assert shown(found) == (A, ip("192.0.2.9"))
    said = showing(found, (A, S), ("AddressInUse", "taken"), "2024-01-01T00:00:00Z")
    assert said.status["loadBalancer"]["ingress"] == [
        {"ip": "192.0.2.1", "ipMode": "VIP"},
        {"ip": "fd00::1"},
    ]
    assert condition(said)["reason"] == "AddressInUse"
    assert said.status["conditions"][0]["type"] == "Other"
    again = showing(said, (A, S), ("AddressInUse", "taken"), "2025-01-01T00:00:00Z")
    assert again is said
    left = without(found, {A})
    assert left.status["loadBalancer"]["ingress"] == [{"ip": "192.0.2.9"}]
    assert without(service(), {A}).status in (None, {"loadBalancer": {}})


class World:
    """Pools, Services and a balancer in memory."""

    def __init__(self, *pools: IPPool, every: bool = True) -> None:
        self.store = MemoryDatastore()
        self.pools, self.every = pools, every
        self.balancer = Balancer(self.store, self.store, lambda: self.every)

    async def begin(self, *services: Service) -> None:
        await self.store.create(Namespace(metadata=ObjectMeta(name="shop", labels={"tier": "a"})))
        for one in (*self.pools, *services):
            await self.store.create(one)

    async def see(self, name: str = "web") -> Service | None:
        """Reconcile it; as it is then."""
        with suppress(Unmet):
            await self.balancer.reconcile(Key("Service", "shop", name))
        await check_no_double(self.store)
        found = [one for one in await services_in(self.store) if one.metadata.name == name]
        return found[0] if found else None

    async def write(self, found: Service, **changes: object) -> None:
        """As a person edits it: its status stays."""
        annotations = changes.pop("annotations", None)
        metadata = found.metadata
        if annotations is not None:
            metadata = replace(metadata, annotations=annotations)
        await self.store.update(
            replace(found, metadata=metadata, spec=replace(found.spec, **changes))
        )


def test_a_service_gets_addresses_of_its_families_and_gives_them_back() -> None:
    async def body() -> None:
        world = World(*POOLS)
        await world.begin(service(ip_families=["IPv6", "IPv4"]))
        found = await world.see()
        assert found
        assert [one.version for one in shown(found)] == [6, 4]
        assert sorted(shown(found)) == await held_of(world.store, found)
        blocks = (await world.store.list("IPAMBlock")).resources
        assert {block.spec.affinity for block in blocks} == {"virtual:load-balancer"}
        assert audit(await read_records(world.store)).findings == ()
        await world.store.delete(KEY)
        assert await world.see() is None
        assert await held_of(world.store, found) == []

    asyncio.run(body())


def test_a_service_that_is_none_any_more_gives_its_address_back() -> None:
    async def body() -> None:
        for change in ({"type": "ClusterIP"}, {"load_balancer_class": "cloud"}):
            world = World(*POOLS)
            await world.begin(service())
            found = await world.see()
            assert found
            await world.write(found, **change)
            left = await world.see()
            assert left
            assert shown(left) == ()
            assert await held_of(world.store, left) == []

    asyncio.run(body())


def test_another_pool_or_address_is_had_before_the_old_one_goes() -> None:
    async def body() -> None:
        world = World(*POOLS)
        await world.begin(service())
        first = await world.see()
        assert first
        await world.write(first, annotations={V4: '["two"]'})
        second = await world.see()
        assert second
        assert ip("192.0.2.64/26").contains(shown(second)[0])
        await world.write(second, annotations={LBS: '["192.0.2.130"]'})
        third = await world.see()
        assert third
        assert shown(third) == (ip("192.0.2.130"),)
        assert await held_of(world.store, third) == [ip("192.0.2.130")]

    asyncio.run(body())


@pytest.mark.parametrize(
    ("asked", "reason", "said"),
    [
        ({LBS: '["192.0.2.5"]'}, "AddressInUse", "held by Service shop/other"),
        ({LBS: '["203.0.113.1"]'}, "NoPool", "in no IPPool"),
        ({LBS: '["192.0.2.194"]'}, "NoPool", "disabled"),
        ({V4: '["nosuch"]'}, "NoPool", "there is no IPPool 'nosuch'"),
        ({LBS: "nonsense"}, "InvalidAnnotation", "no list"),
    ],
)
def test_what_cannot_be_had_is_said_and_what_works_stays(
    asked: dict[str, str], reason: str, said: str
) -> None:
    async def body() -> None:
        world = World(*POOLS)
        await world.begin(service(), service("other", {LBS: '["192.0.2.5"]'}))
        assert await world.see("other")
        first = await world.see()
        assert first
        had = shown(first)
        await world.write(first, annotations=asked)
        with pytest.raises(Unmet):
            await world.balancer.reconcile(KEY)
        found = await world.see()
        assert found
        assert shown(found) == had
        assert condition(found)["reason"] == reason
        assert said in condition(found)["message"]
        await world.write(found, annotations={})
        mended = await world.see()
        assert mended
        assert condition(mended) == {}
        assert shown(mended) == had

    asyncio.run(body())


def test_one_family_that_is_lacking_costs_the_other_nothing() -> None:
    async def body() -> None:
        world = World(lb_pool("one", "192.0.2.0/26"))
        await world.begin(service(ip_families=["IPv6", "IPv4"]))
        found = await world.see()
        assert found
        assert [one.version for one in shown(found)] == [4]
        assert condition(found)["reason"] == "NoPool"

    asyncio.run(body())


def test_an_address_of_a_pool_that_is_gone_goes_at_once() -> None:
    async def body() -> None:
        world = World(lb_pool("one", "192.0.2.0/26"))
        await world.begin(service())
        first = await world.see()
        assert first
        await world.store.delete(Key("IPPool", "", "one"))
        found = await world.see()
        assert found
        assert shown(found) == ()
        assert await held_of(world.store, found) == []
        await world.store.create(lb_pool("new", "198.51.100.0/26"))
        again = await world.see()
        assert again
        assert ip("198.51.100.0/26").contains(shown(again)[0])

    asyncio.run(body())


def test_only_pools_for_load_balancers_of_the_namespace_are_used() -> None:
    async def body() -> None:
        world = World(
            lb_pool("other", "192.0.2.0/26", namespace_selector="tier == 'b'"),
            lb_pool("ours", "192.0.2.64/26", namespace_selector="tier == 'a'"),
        )
        await world.begin(service())
        found = await world.see()
        assert found
        assert ip("192.0.2.64/26").contains(shown(found)[0])

    asyncio.run(body())


def test_a_service_made_anew_is_another_and_the_old_ones_address_comes_back() -> None:
    async def body() -> None:
        world = World(*POOLS)
        await world.begin(service())
        first = await world.see()
        assert first
        await world.store.delete(KEY)
        await world.store.create(service(annotations={LBS: json.dumps(["192.0.2.7"])}))
        second = await world.see()
        assert second
        assert shown(second) == (ip("192.0.2.7"),)
        assert await held_of(world.store, first) == []

    asyncio.run(body())


def test_after_a_restart_what_is_held_is_adopted_and_the_rest_given_back() -> None:
    async def body() -> None:
        world = World(*POOLS)
        await world.begin(service(), service("gone"))
        first, gone = await world.see(), await world.see("gone")
        assert first
        assert gone
        await world.store.delete(Key("Service", "shop", "gone"))  # while no controller runs
        world.balancer = Balancer(world.store, world.store, lambda: True)
        unread = Key("Service", "shop", "unread")
        await world.store.put_raw(unread, b'{"spec":7}')
        assert await world.balancer.sweep() == ()  # it may be the one's that can't be read
        await world.store.delete(unread)
        assert await world.balancer.sweep() == (handle_of(gone),)
        found = await world.see()
        assert found
        assert shown(found) == shown(first)
        assert await held_of(world.store, gone) == []

    asyncio.run(body())
