"""Services of type LoadBalancer, and what must hold of their addresses."""

from typing import Any, cast

from strategies.ipam import blocks_in, pool
from tortie.api import IPPool, ObjectMeta
from tortie.api.kube.service import Service, ServicePort, ServiceSpec
from tortie.controllers.loadbalancer.status import CONDITION, shown
from tortie.controllers.loadbalancer.wishes import handle_of
from tortie.datastore import Datastore
from tortie.ipam.block import held_by, holder_of
from tortie.net import Prefix, parse_network


def service(
    name: str = "web", annotations: dict[str, str] | None = None, status: Any = None, **spec: Any
) -> Service:
    """A Service that wants a load balancer's address."""
    metadata = ObjectMeta(
        namespace="shop", name=name, uid=f"uid-{name}", annotations=annotations or {}
    )
    wanted = {"type": "LoadBalancer", "ports": (ServicePort(port=80),), **spec}
    return Service(metadata=metadata, spec=ServiceSpec(**wanted), status=status)


def lb_pool(name: str, cidr: str, **spec: Any) -> IPPool:
    """A pool for load balancers."""
    return pool(name, cidr, allowed_uses=("LoadBalancer",), **spec)


def condition(found: Service) -> dict[str, Any]:
    """What a Service says it lacks."""
    entries = (found.status or {}).get("conditions", [])
    return next((one for one in entries if one["type"] == CONDITION), {})


async def services_in(store: Datastore) -> list[Service]:
    """All Services."""
    return list(cast(tuple[Service, ...], (await store.list("Service")).resources))


async def check_no_double(store: Datastore) -> None:
    """At any moment: what a status shows is held by this Service, and by no other's."""
    blocks = [block.spec for block in await blocks_in(store)]
    seen: set[Prefix] = set()
    for one in await services_in(store):
        for address in shown(one):
            assert address not in seen, f"{address} is shown by two Services"
            seen.add(address)
            holders = [
                found.handle_id
                for spec in blocks
                if _has(spec.cidr, address) and (found := holder_of(spec, address))
            ]
            assert holders == [handle_of(one)], f"{address} is shown and held by {holders}"


async def held_of(store: Datastore, one: Service) -> list[Prefix]:
    """What is held for a Service."""
    blocks = await blocks_in(store)
    return [address for block in blocks for address in held_by(block.spec, handle_of(one))]


def _has(cidr: str, address: Prefix) -> bool:
    return parse_network(cidr).contains(address)
