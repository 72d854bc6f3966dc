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
from tortie.datastore.finalizers import delete_or_mark, finalizers_of, finish, is_going
from tortie.ipam.holding import net_of, read_holding
from tortie.ipam.service import IPAM

FINALIZER = "projectcalico.org/ippool-finalizer"
"""What the controllers put to each pool, so that one that is in use waits."""


async def retire_pool(store: Datastore, key: Key) -> str:
    """Delete the pool of that key. Addresses in use stay with their handles.

    One that controllers guard (by the finalizer) waits for those: it is marked, nothing more is
    taken from it, and the controllers delete it once nobody uses it. Returns what it waits for; ""
    where it is gone. May be done again where it ended half way. Raises NotFound and other
    DatastoreErrors, IpamError.
    """
    try:
        pool = await update_with(store, key, _disabled)
    except (NotFound, Conflict, Unavailable, Forbidden):
        raise
    except DatastoreError:
        pool = None  # malformed: nobody can have taken anything from it
    if not isinstance(pool, IPPool):
        await store.delete(key)
        return ""
    others = await _that_stay(store, key)
    if net := net_of(pool):
        await IPAM(store).release_pool(net, tuple(filter(None, map(net_of, others))))
    if await delete_or_mark(store, key):
        return ""
    held = await read_holding(store, pool, others)
    return held.text if held.claims or held.blocks else await _finished(store, key)


async def _that_stay(store: Datastore, key: Key) -> list[IPPool]:
    pools = (await store.list("IPPool")).resources
    return [
        one for one in pools if isinstance(one, IPPool) and one.key != key and not is_going(one)
    ]


async def _finished(store: Datastore, key: Key) -> str:
    """Nobody holds it: what the controllers would do in a moment is done at once."""
    try:
        found = await store.get(key)
        if FINALIZER in finalizers_of(found):
            await finish(store, found, FINALIZER)
    except (NotFound, Conflict):
        return ""  # the controllers were faster
    rest = [one for one in finalizers_of(found) if one != FINALIZER]
    return f"others have to see to it first: {', '.join(rest)}" if rest else ""


def _disabled(pool: Resource) -> Resource | None:
    if not isinstance(pool, IPPool) or pool.spec.disabled:
        return None
    return replace(pool, spec=replace(pool.spec, disabled=True))
