"""Which leaked addresses may be given back now. Pure, but for what it remembers between looks.

An address in use must never be taken away, and each look may be wrong about one: a pod that starts
has its address before anybody can see it, and one look is not one moment. So a leak is believed
only when two looks have seen it, unchanged, and a grace period lies between them. All addresses
that a handle holds for one workload go together or not at all; containers of two nodes may have one
handle, and neither's end is the other's. A node that is gone needs no grace: nothing starts there
any more. A grace period of 0 switches off all but that, as in Calico.

What nobody can know to be a leak is left to people: only addresses of pods, and of nodes that are
gone, are given back.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tortie.api import IPAMHandle
from tortie.ipam.audit import Allocation, Audit
from tortie.ipam.holders import identity
from tortie.ipam.machines import is_machines
from tortie.ipam.records import Records
from tortie.ipam.types import ReleaseRequest

_LOOKS = 2
_FLOOR = 300.0  # seconds, for a virtual machine: one that is made anew has its address back
_VIRTUAL = ""  # the node of who is none, as the addresses of load balancers

_Identity = tuple[tuple[str, int | None], ...]  # address and sequence number of each
_Holding = tuple[str, ...]  # a handle, and for whom it holds


class Candidate(NamedTuple):
    """A holding that looked leaked: since when (seconds), in how many looks, and what it was."""

    since: float
    looks: int
    held: _Identity


class Leaks:
    """The leaks of one cluster, looked at again and again. `grace` is in seconds; 0: for ever."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._candidates: dict[_Holding, Candidate] = {}

    @property
    def candidates(self) -> frozenset[str]:
        """The addresses that look leaked, as text."""
        return frozenset(address for one in self._candidates.values() for address, _ in one.held)

    def look(self, found: Audit, nodes: frozenset[str], now: float) -> list[ReleaseRequest]:
        """What may be given back after this look. `nodes` are there; `now` is in seconds."""
        before, self._candidates = self._candidates, {}
        released: list[ReleaseRequest] = []
        for holding, held in _leaked(found.allocations, nodes):
            these = tuple((str(one.address), one.sequence) for one in held)
            known = before.get(holding)
            if known is None or known.held != these:
                known = Candidate(now, 0, these)
            candidate = known._replace(looks=known.looks + 1)
            self._candidates[holding] = candidate
            waited, grace = now - candidate.since, max(self._grace(one, nodes) for one in held)
            if candidate.looks >= _LOOKS and waited >= grace:
                released += [one.release for one in held]
        return released

    def _grace(self, one: Allocation, nodes: frozenset[str]) -> float:
        if not is_machines(one.handle) and one.attributes.get("node") not in nodes:
            return 0
        floor = _FLOOR if is_machines(one.handle) else 0
        return max(self.grace, floor) if self.grace else math.inf


def _leaked(
    allocations: Iterable[Allocation], nodes: frozenset[str]
) -> Iterator[tuple[_Holding, list[Allocation]]]:
    """Holdings none of whose addresses is in use, with their addresses in order."""
    holdings: defaultdict[_Holding, list[Allocation]] = defaultdict(list)
    for one in allocations:
        if one.handle:
            holdings[_holding(one)].append(one)
    for holding, held in holdings.items():
        if all(one.leak and _is_known(one, nodes) for one in held):
            yield holding, held


def _holding(one: Allocation) -> _Holding:
    """A machine's are its own, whatever pod runs it."""
    return (one.handle,) if is_machines(one.handle) else (one.handle, *identity(one.attributes))


def _is_known(one: Allocation, nodes: frozenset[str]) -> bool:
    if is_machines(one.handle):
        return True  # it was asked for, and is gone
    node = one.attributes.get("node", _VIRTUAL)
    return node != _VIRTUAL and (node not in nodes or bool(one.attributes.get("pod")))


class EmptyHandles:
    """Handles that hold nothing, as a crash leaves them."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], float] = {}  # name and revision: since when

    def look(self, records: Records, found: Audit, grace: float, now: float) -> list[IPAMHandle]:
        """What may be deleted after this look: unchanged and empty for the grace period."""
        empty = frozenset(found.leaked_handles)
        handles = [one for one in records.handles if one.spec.handle_id in empty]
        before, self._before = self._before, {}
        for one in handles:
            revision = one.metadata.resource_version
            since = before.get((one.metadata.name, revision), now)
            self._before[one.metadata.name, revision] = since
        return [one for one in handles if grace and _is_past(one, before, now - grace)]


def _is_past(one: IPAMHandle, before: Mapping[tuple[str, str], float], moment: float) -> bool:
    since = before.get((one.metadata.name, one.metadata.resource_version))
    return since is not None and since <= moment
