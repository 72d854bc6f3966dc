"""Which pools addresses may be taken from, and why not from the others. Pure.

The same that the controllers write as the condition Allocatable; IPAM works it out for itself, so
that no pool is used wrongly while no controller runs. Names of reasons are Calico's.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from tortie.api import IPPool
from tortie.net import Prefix, parse_network

ALLOCATABLE = "Allocatable"
Reason = Literal["OK", "PoolDisabled", "Terminating", "CIDROverlap", "CIDRInvalid"]


class Standing(NamedTuple):
    """Whether addresses may be taken from a pool: only with the reason OK. `text` is for people."""

    reason: Reason
    text: str

    @property
    def is_allocatable(self) -> bool:
        """Whether it gives addresses."""
        return self.reason == "OK"


_FINE = Standing("OK", "addresses can be taken from it")


def standings(pools: Sequence[IPPool]) -> dict[str, Standing]:
    """Each pool's, by its name.

    Of pools that overlap, the one that was used first gives addresses: what is held stays right.
    A disabled pool keeps no other from giving; one that is going still does, for what it holds.
    """
    found: dict[str, Standing] = {}
    nets: dict[str, Prefix] = {}
    for pool in pools:
        name = pool.metadata.name
        try:
            nets[name] = parse_network(pool.spec.cidr)
            found[name] = _alone(pool)
        except ValueError as error:
            found[name] = Standing("CIDRInvalid", str(error))
    if _overlap(nets.values()):
        found.update(_overlapping(pools, nets, found))
    return found


def _alone(pool: IPPool) -> Standing:
    if pool.metadata.deletion_timestamp:
        return Standing("Terminating", "it is being deleted")
    if pool.spec.disabled:
        return Standing("PoolDisabled", "disabled")
    return _FINE


def _overlap(nets: Iterable[Prefix]) -> bool:
    """Prefixes are nested or apart: in order, one that lies in another follows one that does."""
    return any(first.contains(second) for first, second in pairwise(sorted(nets)))


def _overlapping(
    pools: Sequence[IPPool], nets: dict[str, Prefix], found: dict[str, Standing]
) -> dict[str, Standing]:
    lost: dict[str, Standing] = {}
    winners: list[IPPool] = []
    for pool in sorted(pools, key=_age):
        name = pool.metadata.name
        if name not in nets or found[name].reason == "PoolDisabled":
            continue
        rival = _rival(nets[name], winners, nets)
        if rival is None:
            winners.append(pool)
        elif found[name].is_allocatable:
            text = (
                f"{pool.spec.cidr} overlaps with {rival.spec.cidr} of IPPool {rival.metadata.name}"
            )
            lost[name] = Standing("CIDROverlap", f"{text}, which is older")
    return lost


def _rival(net: Prefix, winners: Iterable[IPPool], nets: dict[str, Prefix]) -> IPPool | None:
    for other in winners:
        theirs = nets[other.metadata.name]
        if theirs.contains(net) or net.contains(theirs):
            return other
    return None


def _age(pool: IPPool) -> tuple[bool, str, str]:
    """One that gives addresses already goes before an older one that does not (yet)."""
    return (not _gives(pool), pool.metadata.creation_timestamp or "", pool.metadata.name)


def _gives(pool: IPPool) -> bool:
    """Whether it was said to be allocatable, or is going and so once was."""
    conditions = pool.status.conditions if pool.status else ()
    said = {one.type: one for one in conditions}.get(ALLOCATABLE)
    return said is not None and (said.status == "True" or said.reason == "Terminating")
