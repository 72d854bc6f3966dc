"""How a pool goes: nothing more is taken from it, nodes' claims to its blocks end, then it goes.

The order is Calico's client's. A pool deleted first would leave blocks that no pool explains, and
nodes that go on assigning from them.
"""

from msgspec.structs import replace

from tortie.api import IPPool, Key, Resource
from tortie.datastore import (
    Conflict,
    Datastore,
    DatastoreError,
    Forbidden,
    NotFound,
    Unavailable,
    update_with,
)
from tortie.datastore.finalizers import delete_or_mark
from tortie.ipam.service import IPAM
from tortie.net import Prefix, parse_network


async def retire_pool(store: Datastore, key: Key) -> None:
    """Delete the pool of that key. Addresses in use stay with their handles.

    One that controllers see to (it has a finalizer) is marked instead: they delete it once none of
    its addresses is in use. May be done again where it ended half way. Raises NotFound and other
    DatastoreErrors, IpamError.
    """
    try:
        pool = await update_with(store, key, _disabled)
    except (NotFound, Conflict, Unavailable, Forbidden):
        raise
    except DatastoreError:
        pool = None  # malformed: nobody can have taken anything from it
    if isinstance(pool, IPPool) and (cidr := _cidr(pool)):
        await IPAM(store).release_pool(cidr)
    if isinstance(pool, IPPool):
        await delete_or_mark(store, key)
    else:
        await store.delete(key)


def _disabled(pool: Resource) -> Resource | None:
    if not isinstance(pool, IPPool) or pool.spec.disabled:
        return None
    return replace(pool, spec=replace(pool.spec, disabled=True))


def _cidr(pool: IPPool) -> Prefix | None:
    try:
        return parse_network(pool.spec.cidr)
    except ValueError:
        return None  # nobody can have taken anything from it
