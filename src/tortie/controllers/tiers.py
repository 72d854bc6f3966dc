"""Tiers: one that is deleted waits until no policy is in it, and says which are.

A tier that went before its policies would leave them in a tier that nobody knows: what they deny
would be let through. The tiers that are always there need no such guard: nobody can delete them.
"""

from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from tortie.api import Key
from tortie.api.calico.tier import FIXED, Tier
from tortie.controllers.conditions import with_condition
from tortie.controllers.controller import Context, Controller
from tortie.controllers.reconciling import Job, Watched, reconcile_all
from tortie.datastore import Datastore, NotFound
from tortie.datastore.finalizers import finalizers_of, finish, guarded, is_going
from tortie.ipam.words import some

FINALIZER = "projectcalico.org/tier-controller"
READY = "Ready"
NAME = "tiers"
POLICIES = (
    "NetworkPolicy",
    "GlobalNetworkPolicy",
    "StagedNetworkPolicy",
    "StagedGlobalNetworkPolicy",
)
_PERIOD = 300.0  # seconds


class StillUsed(ValueError):
    """A tier that is to go waits. It is looked at again."""


class Tiers:
    """The tiers of one datastore. Raises DatastoreError."""

    def __init__(self, store: Datastore) -> None:
        self._store = store

    async def reconcile(self, key: Key) -> None:
        """See to one tier. Raises StillUsed for one that waits, once its status says for what."""
        found = await self._store.get(key)
        assert isinstance(found, Tier)
        if not is_going(found):
            said = with_condition(found, READY, "OK", "its policies are applied", _now())
            await self._write(found, said if key.name in FIXED else guarded(said, FINALIZER))
        elif FINALIZER in finalizers_of(found):
            await self._let_go(found)

    async def _let_go(self, tier: Tier) -> None:
        name = tier.metadata.name
        users = [str(key) async for key in self._policies(name)]
        if not users:
            await finish(self._store, tier, FINALIZER)
            return
        text = f"it is being deleted, and waits for {len(users)} policies of it: {some(users)}"
        await self._write(tier, with_condition(tier, READY, "Terminating", text, _now()))
        raise StillUsed(f"Tier {name}: {text}")

    async def _policies(self, tier: str) -> AsyncIterator[Key]:
        """Read only now: policies are many, and tiers seldom go."""
        for kind in POLICIES:
            async for page in self._store.pages(kind):
                for one in page.resources:
                    if getattr(getattr(one, "spec", None), "tier", "") == tier:
                        yield one.key

    async def _write(self, before: Tier, after: Tier) -> None:
        if after is not before:
            await self._store.update(after)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _run(context: Context) -> None:
    side = context.datastore
    tiers = Tiers(side.store)

    def everything() -> Iterable[Hashable]:
        return tuple(side.feed.objects("Tier"))

    async def reconcile(key: Hashable) -> None:
        assert isinstance(key, Key)
        with suppress(NotFound):
            await tiers.reconcile(key)

    watched = (Watched(side, ("Tier",), lambda key: (key,)),)
    await reconcile_all(context, Job(NAME, watched, everything, reconcile, lambda: _PERIOD))


CONTROLLER = Controller(name=NAME, switch="", run=_run, follows=("Tier",))
