"""Gives back what pods and nodes left behind in the books of address management.

Each pass reads everything anew, decides, and releases; each release says which allocation it means,
so that an address that was given to somebody meanwhile stays theirs.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from tortie.controllers.leaks import EmptyHandles, Leaks
from tortie.controllers.spare import SpareBlocks
from tortie.datastore import Datastore
from tortie.ipam import IPAM
from tortie.ipam.audit import Audit, audit
from tortie.ipam.records import read_records
from tortie.ipam.utilization import PoolUsage, utilization
from tortie.net import Prefix


class Pass(NamedTuple):
    """What one pass found and did."""

    found: Audit
    pools: tuple[PoolUsage, ...]
    blocks: dict[tuple[str, str], int]  # how many, by pool and node
    candidates: frozenset[str]  # addresses that look leaked, as text
    released: tuple[Prefix, ...]
    given_up: int  # blocks


class Collector:
    """Leaked addresses and spare blocks of one datastore. `grace` and `clock` are in seconds.

    A `grace` of 0 collects only what nodes left that are gone.
    """

    def __init__(
        self, store: Datastore, grace: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._clock = store, clock
        self._ipam = IPAM(store)
        self._leaks, self._handles, self._spare = Leaks(grace), EmptyHandles(), SpareBlocks()

    @property
    def grace(self) -> float:
        """For how long an address may be in use by nobody; 0: for ever."""
        return self._leaks.grace

    @grace.setter
    def grace(self, seconds: float) -> None:
        self._leaks.grace = seconds

    async def collect(self) -> Pass:
        """One pass. Raises IpamError, DatastoreError; what was given back until then stays so."""
        records = await read_records(self._store)
        found = audit(records)
        now = self._clock()
        released = await self._ipam.release(self._leaks.look(found, records.nodes, now))
        for handle in self._handles.look(records, found, self.grace, now):
            await self._ipam.forget_handle(handle)
        await self._ipam.release_cooled()
        given_up = [
            await self._ipam.release_block(one.owner, one.cidr) for one in self._spare.look(records)
        ]
        pools = utilization(records)
        return Pass(
            found=found,
            pools=pools,
            blocks=_blocks(pools),
            candidates=self._leaks.candidates,
            released=released,
            given_up=sum(given_up),
        )


def _blocks(pools: tuple[PoolUsage, ...]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for one in pools:
        for block in one.blocks:
            key = one.pool.name, block.name.partition(":")[2] or "no_affinity"
            counts[key] = counts.get(key, 0) + 1
    return counts
