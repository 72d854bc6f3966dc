"""IP pools: who may give addresses, and how one goes.

Each pool says by its condition Allocatable whether addresses are taken from it, and why not. A
pool that is deleted waits, by a finalizer, until nobody has an address of it: nothing new is taken,
nodes give up their blocks, and the condition names who still holds it.
"""

from collections.abc import Hashable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

from tortie.api import IPPool, Key
from tortie.controllers.conditions import with_condition
from tortie.controllers.controller import Context, Controller
from tortie.controllers.reconciling import Job, Watched, reconcile_all
from tortie.datastore import Datastore, NotFound
from tortie.datastore.finalizers import finalizers_of, finish, guarded, is_going
from tortie.ipam import IPAM, IpamError
from tortie.ipam.block import is_past
from tortie.ipam.holding import net_of, read_holding
from tortie.ipam.retiring import FINALIZER
from tortie.ipam.standing import ALLOCATABLE, Standing, standings

NAME = "IP pools"
SETTLED = 5  # seconds from the mark until an assignment that began before it is over
_PERIOD = 300.0  # seconds


class StillHeld(IpamError):
    """A pool that is to go waits. It is looked at again."""


class Pools:
    """The pools of one datastore. `settled` is in seconds. Raises DatastoreError."""

    def __init__(self, store: Datastore, settled: int = SETTLED) -> None:
        self._store = store
        self._settled = settled
        self._ipam = IPAM(store)

    async def reconcile(self, key: Key) -> None:
        """See to one pool. Raises StillHeld for one that waits, once its status says for what."""
        pools = cast(tuple[IPPool, ...], (await self._store.list("IPPool")).resources)
        found = next((one for one in pools if one.key == key), None)
        if found is None:
            return
        if not is_going(found):
            await self._keep(found, standings(pools)[key.name])
        elif FINALIZER in finalizers_of(found):
            await self._let_go(found, pools)

    async def _keep(self, pool: IPPool, standing: Standing) -> None:
        said = with_condition(pool, ALLOCATABLE, standing.reason, standing.text, _now())
        wanted = guarded(said, FINALIZER)
        if wanted is not pool:
            await self._store.update(wanted)

    async def _let_go(self, pool: IPPool, pools: tuple[IPPool, ...]) -> None:
        """Have nodes give up their blocks of it, and the pool go once none is left.

        IPAM takes nothing of it since it is marked; what had begun before is over by then.
        """
        others = [one for one in pools if one.key != pool.key and not is_going(one)]
        if net := net_of(pool):
            await self._ipam.release_pool(net, tuple(filter(None, map(net_of, others))))
        held = await read_holding(self._store, pool, others)
        now = _now()
        over = is_past(pool.metadata.deletion_timestamp or "", now, self._settled)
        if over and not held.claims and not held.blocks:
            await finish(self._store, pool, FINALIZER)
            return
        text = f"it is being deleted, and waits: {held.text}"
        wanted = with_condition(pool, ALLOCATABLE, "Terminating", text, now)
        if wanted is not pool:
            await self._store.update(wanted)
        raise StillHeld(f"IPPool {pool.metadata.name}: {text}")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _run(context: Context) -> None:
    side = context.datastore
    pools = Pools(side.store)

    def everything() -> Iterable[Hashable]:
        return tuple(side.feed.objects("IPPool"))

    async def reconcile(key: Hashable) -> None:
        assert isinstance(key, Key)
        with suppress(NotFound):
            await pools.reconcile(key)

    # One pool's coming or going can be what another waits for: they may overlap.
    watched = (Watched(side, ("IPPool",), lambda _: everything()),)
    await reconcile_all(context, Job(NAME, watched, everything, reconcile, lambda: _PERIOD))


CONTROLLER = Controller(name=NAME, switch="", run=_run, follows=("IPPool",))
