"""Small scenes in every order and with a crash anywhere: no address is shown that is not held."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from msgspec.structs import replace

from strategies.explorer import Actor, Explorer, World
from strategies.ipam import check_consistent, configuration
from strategies.services import check_no_double, held_of, lb_pool, service, services_in
from tortie.api import Key
from tortie.api.kube.service import Service
from tortie.controllers.loadbalancer.balancer import Balancer, Unmet
from tortie.controllers.loadbalancer.status import shown
from tortie.datastore import Conflict, Datastore, DatastoreError, NotFound, retry
from tortie.datastore.memory import MemoryDatastore

WEB, OTHER = Key("Service", "shop", "web"), Key("Service", "shop", "other")
ASKS = {"projectcalico.org/loadBalancerIPs": '["192.0.2.1"]'}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_LONGEST", 0)


def balancing(*keys: Key) -> Actor:
    """A controller that sees to these Services; what changed meanwhile it looks at once more."""

    async def play(store: Datastore) -> None:
        balancer = Balancer(store, store, lambda: True)
        for key in keys:
            for _ in range(2):
                try:
                    await balancer.reconcile(key)
                    break
                except Conflict:
                    continue
                except (Unmet, DatastoreError):
                    break

    return play


def editing(change: Callable[[Service], Service]) -> Actor:
    """A person who changes the Service, once."""

    async def play(store: Datastore) -> None:
        with suppress(DatastoreError):
            found = await store.get(WEB)
            assert isinstance(found, Service)
            await store.update(change(found))

    return play


async def deleting(store: Datastore) -> None:
    """A person who deletes the Service."""
    with suppress(NotFound):
        await store.delete(WEB)


def no_balancer(found: Service) -> Service:
    return replace(found, spec=replace(found.spec, type="ClusterIP"))


def asking(found: Service) -> Service:
    return replace(found, metadata=replace(found.metadata, annotations=ASKS))


async def nothing(store: MemoryDatastore) -> None:
    del store


async def served(store: MemoryDatastore) -> None:
    await balancing(WEB)(store)


SCENES: dict[str, tuple[Callable[[MemoryDatastore], Awaitable[None]], list[Actor], int]] = {
    "one is new": (nothing, [balancing(WEB)], 1),
    "one goes while it is served": (nothing, [balancing(WEB), deleting], 1),
    "one is no more": (served, [balancing(WEB), editing(no_balancer)], 1),
    "one asks for another address": (served, [editing(asking), balancing(WEB)], 1),
    "two want the only address left": (served, [balancing(OTHER), deleting, balancing(WEB)], 0),
}


@pytest.mark.parametrize("scene", SCENES)
def test_no_order_and_no_crash_shows_what_is_not_held(scene: str) -> None:
    before, actors, crashes = SCENES[scene]

    async def prepare(store: MemoryDatastore) -> None:
        await store.create(lb_pool("p", "192.0.2.0/31", block_size=31))
        await store.create(configuration())
        await store.create(service())
        await store.create(service("other"))
        await before(store)

    assert Explorer(World(prepare, actors, check, check_end, crashes)).walk() > 10


async def check(store: MemoryDatastore) -> None:
    await check_no_double(store)
    await check_consistent(store)


async def check_end(store: MemoryDatastore) -> None:
    """Who comes after a crash gives each Service one address, and nobody else any."""
    balancer = Balancer(store, store, lambda: True)
    await balancer.sweep()
    for key in (WEB, OTHER):
        with suppress(Unmet):
            await balancer.reconcile(key)
    await balancer.sweep()
    await check(store)
    held = 0
    for one in await services_in(store):
        ours = one.spec.type == "LoadBalancer"
        assert len(shown(one)) == ours
        assert tuple(await held_of(store, one)) == shown(one)
        held += ours
    handles = (await store.list("IPAMHandle")).resources
    assert len(handles) == held
