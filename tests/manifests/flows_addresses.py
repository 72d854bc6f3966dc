"""All that pools, tiers and load balancers' addresses make the controllers ask of the datastore."""

from contextlib import suppress

from strategies.ipam import pool
from strategies.services import lb_pool, service
from tortie.api import GlobalNetworkPolicy, GlobalNetworkPolicySpec, Key, ObjectMeta
from tortie.api.calico.tier import Tier, TierSpec
from tortie.controllers.loadbalancer.balancer import Balancer
from tortie.controllers.pools import Pools
from tortie.controllers.tiers import StillUsed, Tiers
from tortie.datastore import Datastore
from tortie.datastore.finalizers import delete_or_mark
from tortie.ipam import IPAM, AssignRequest
from tortie.ipam.machines import Machine, handle_of
from tortie.ipam.records import read_records

KINDS = ("ClusterInformation", "IPPool", "Service", "Tier")  # that they follow
_SERVICE, _POOL, _TIER = (
    Key("Service", "shop", "web"),
    Key("IPPool", "", "lb"),
    Key("Tier", "", "t"),
)


async def addresses(admin: Datastore, store: Datastore) -> None:
    """A Service that gets an address and gives it back, then its pool goes; and a tier."""
    for kind in KINDS:
        await store.list(kind)
    await admin.create(lb_pool("lb", "192.0.2.0/28", block_size=28, namespace_selector="all()"))
    await Pools(store, 0).reconcile(_POOL)
    await admin.create(service())
    balancer = Balancer(store, store, lambda: True)
    await balancer.reconcile(_SERVICE)
    await balancer.sweep()
    await admin.delete(_SERVICE)
    await balancer.reconcile(_SERVICE)
    await delete_or_mark(admin, _POOL)
    await Pools(store, 0).reconcile(_POOL)
    await _tier(admin, store)
    await _machine(admin, store)


async def _machine(admin: Datastore, store: Datastore) -> None:
    """An address is kept for a virtual machine: is there one of that name?"""
    handle = handle_of("net", Machine("shop", "db"))
    await admin.create(pool("vm", "10.9.0.0/24"))
    await IPAM(admin).auto_assign(AssignRequest(node="node-1", handle=handle, pools4=("vm",)))
    assert (await read_records(store)).machines == frozenset()


async def _tier(admin: Datastore, store: Datastore) -> None:
    await admin.create(Tier(metadata=ObjectMeta(name="t"), spec=TierSpec()))
    tiers = Tiers(store)
    await tiers.reconcile(_TIER)
    spec = GlobalNetworkPolicySpec(tier="t", selector="all()", types=("Ingress",))
    await admin.create(GlobalNetworkPolicy(metadata=ObjectMeta(name="t.p"), spec=spec))
    await delete_or_mark(admin, _TIER)
    with suppress(StillUsed):
        await tiers.reconcile(_TIER)
    await admin.delete(Key("GlobalNetworkPolicy", "", "t.p"))
    await tiers.reconcile(_TIER)
