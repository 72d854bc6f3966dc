"""Which addresses a Service keeps, gives up, and still needs. Pure.

- What works stays: an address goes only where it is not asked for any more, and one that is asked
  for instead is had first.
- An address of a pool that is gone is nobody's to use: it goes at once.
- A pool that is disabled or about to go gives nothing new; what is held of it stays.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from tortie.api import IPPool
from tortie.controllers.loadbalancer.wishes import Wish
from tortie.ipam.pools import allows, range_holding
from tortie.net import Prefix


class Plan(NamedTuple):
    """`replaced` goes once what is asked for in its stead is had; `dropped` goes at once."""

    kept: tuple[Prefix, ...] = ()
    replaced: tuple[Prefix, ...] = ()
    dropped: tuple[Prefix, ...] = ()
    fixed: tuple[Prefix, ...] = ()  # to be had: these very ones
    any_of: tuple[int, ...] = ()  # to be had: one of each of these versions

    def beside(self, other: "Plan") -> "Plan":
        """Both."""
        return Plan(
            self.kept + other.kept,
            self.replaced + other.replaced,
            self.dropped + other.dropped,
            self.fixed + other.fixed,
            self.any_of + other.any_of,
        )


def plan(
    wish: Wish, held: Sequence[Prefix], shown: Collection[Prefix], pools: Sequence[IPPool]
) -> Plan:
    """For what is `held`; of several that would do, the one that its status shows is kept."""
    found = Plan(dropped=tuple(one for one in held if one.version not in wish.versions))
    for version in wish.versions:
        own = sorted(
            (one for one in held if one.version == version), key=lambda one: (one not in shown, one)
        )
        found = found.beside(_of_version(version, wish, own, pools))
    return found


def _of_version(version: int, wish: Wish, held: Sequence[Prefix], pools: Sequence[IPPool]) -> Plan:
    asked = wish.addresses.get(version)
    good = [one for one in held if _is_wanted(one, wish, pools)]
    if good:
        return Plan(kept=(good[0],), dropped=tuple(one for one in held if one != good[0]))
    still = [one for one in held if _pool_of(one, pools)][:1]
    return Plan(
        replaced=tuple(still),
        dropped=tuple(one for one in held if one not in still),
        fixed=(asked,) if asked else (),
        any_of=() if asked else (version,),
    )


def _is_wanted(address: Prefix, wish: Wish, pools: Sequence[IPPool]) -> bool:
    pool = _pool_of(address, pools)
    if pool is None:
        return False
    if asked := wish.addresses.get(address.version):
        return address == asked
    if named := wish.pools.get(address.version):
        return pool.metadata.name in named or pool.spec.cidr in named
    return pool.spec.assignment_mode != "Manual"  # asked for by name earlier, and no more


def _pool_of(address: Prefix, pools: Sequence[IPPool]) -> IPPool | None:
    """The pool for load balancers that has it."""
    for pool in pools:
        if allows(pool, "LoadBalancer") and range_holding(pool, address):
            return pool
    return None
