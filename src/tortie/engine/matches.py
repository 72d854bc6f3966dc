"""Which policies apply to which local endpoints.

Policies with the same selector form a group: the index knows groups, not policies, so a thousand
policies on `all()` cost what one does. A policy is active while its group has an endpoint here.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from math import inf
from typing import NamedTuple

from tortie.api import NetworkPolicySpec
from tortie.policy.program import PolicyId
from tortie.selectors import Selector
from tortie.selectors.index import SelectorIndex


class Entry(NamedTuple):
    """What decides where and when a policy is asked. `order` is +inf where none is given.

    `ingress` and `egress` are of workloads, and of what begins or ends at a host endpoint; the
    others of host endpoints only.
    """

    selector: Selector
    tier: str
    order: float
    tie: str  # "name/namespace/kind": decides between equal orders
    ingress: bool = False
    egress: bool = False
    forward_ingress: bool = False
    forward_egress: bool = False
    untracked_ingress: bool = False
    untracked_egress: bool = False
    pre_dnat_ingress: bool = False

    @property
    def for_workloads(self) -> bool:
        """Whether workloads are asked at all."""
        return self.ingress or self.egress

    @property
    def for_hosts_alone(self) -> bool:
        """Whether host endpoints are asked, and workloads are not."""
        return self.untracked_ingress or self.untracked_egress or self.pre_dnat_ingress


def entry_of(name: PolicyId, spec: NetworkPolicySpec, selector: Selector) -> Entry:
    """Where a policy is asked; one that is untracked or pre-DNAT is of host endpoints alone."""
    inward, outward = ("Ingress" in spec.directions, "Egress" in spec.directions)
    untracked = bool(getattr(spec, "do_not_track", False))
    pre_dnat = bool(getattr(spec, "pre_dnat", False)) and not untracked
    tracked = not (untracked or pre_dnat)
    forward = tracked and bool(getattr(spec, "apply_on_forward", False))
    return Entry(
        selector=selector,
        tier=spec.tier,
        order=inf if spec.order is None else spec.order,
        tie=f"{name.name}/{name.namespace}/{name.kind}",
        ingress=inward and tracked,
        egress=outward and tracked,
        forward_ingress=inward and forward,
        forward_egress=outward and forward,
        untracked_ingress=inward and untracked,
        untracked_egress=outward and untracked,
        pre_dnat_ingress=inward and pre_dnat,
    )


class Rank(NamedTuple):
    """A policy's place among those of its tier; sorts as they are asked."""

    order: float
    tie: str
    policy: PolicyId
    entry: Entry


class _Group:
    """Policies of one selector, in order for each tier, and the local endpoints it matches.

    `hosts` are those of `endpoints` that are host endpoints.
    """

    __slots__ = ("endpoints", "hosts", "tiers")

    def __init__(self, endpoints: set[int], hosts: set[int]) -> None:
        self.tiers: dict[str, list[Rank]] = {}
        self.endpoints = endpoints
        self.hosts = hosts

    def policies(self) -> Iterator[PolicyId]:
        """All of them."""
        return (rank.policy for ranks in self.tiers.values() for rank in ranks)


class Matches:
    """Policies against local endpoints' labels.

    `moved` collects endpoints whose list of policies may differ, `woken` policies that may have
    become active or inactive; whoever acts on them empties them. `hosts` are the local host
    endpoints; whoever relabels tells them before and takes them back after.
    """

    def __init__(self) -> None:
        self.moved: set[int] = set()
        self.woken: set[PolicyId] = set()
        self.hosts: set[int] = set()
        self._entries: dict[PolicyId, Entry] = {}
        self._groups: dict[str, _Group] = {}
        self._index: SelectorIndex[str, int] = SelectorIndex()
        self._matched: dict[int, set[str]] = {}

    def put(self, policy: PolicyId, entry: Entry | None) -> None:
        """Take in a policy, or its end."""
        old = self._entries.get(policy)
        if old == entry:
            return
        if old is not None:
            self._leave(policy, old)
        if entry is not None:
            self._entries[policy] = entry
            self._join(policy, entry)

    def relabel(self, labels: Mapping[int, Mapping[str, str] | None]) -> None:
        """Local endpoints have these labels now; None: gone (or not local any more)."""
        if not labels:
            return
        for change in self._index.apply(labels):
            group = self._groups[change.selector_id]
            matched = self._matched.setdefault(change.item, set())
            of_hosts = change.item in self.hosts
            if change.matched:
                matched.add(change.selector_id)
                group.endpoints.add(change.item)
                if of_hosts:
                    group.hosts.add(change.item)
            else:
                matched.discard(change.selector_id)
                group.endpoints.discard(change.item)
                group.hosts.discard(change.item)
            counted = group.hosts if of_hosts else group.endpoints
            if len(counted) == change.matched:  # the first of its kind came, or the last went
                self.woken.update(group.policies())
            self.moved.add(change.item)
        for number, present in labels.items():
            if present is None:
                self._matched.pop(number, None)

    def is_active(self, policy: PolicyId) -> bool:
        """Whether any local endpoint is asked this policy."""
        entry = self._entries.get(policy)
        if entry is None:
            return False
        group = self._groups[entry.selector.canonical]
        if entry.for_workloads:
            return bool(group.endpoints)
        return entry.for_hosts_alone and bool(group.hosts)

    def groups_of(self, endpoint: int) -> frozenset[str]:
        """The groups that apply to an endpoint: equal for endpoints with the same policies."""
        return frozenset(self._matched.get(endpoint, ()))

    def ranked(self, groups: frozenset[str]) -> dict[str, list[Rank]]:
        """The policies of groups by tier, each list in order. Read only."""
        found: dict[str, list[Rank]] = {}
        mixed = set()
        for name in groups:
            for tier, ranks in self._groups[name].tiers.items():
                if tier in found:
                    mixed.add(tier)
                    found[tier] = found[tier] + ranks
                else:
                    found[tier] = ranks
        for tier in mixed:
            found[tier].sort()
        return found

    def endpoints_of_tier(self, tier: str) -> set[int]:
        """The local endpoints that have a policy of this tier. Walks all groups."""
        holders = [group for group in self._groups.values() if tier in group.tiers]
        return {number for group in holders for number in group.endpoints}

    def _join(self, policy: PolicyId, entry: Entry) -> None:
        name = entry.selector.canonical
        group = self._groups.get(name)
        if group is None:
            endpoints = set(self._index.add(name, entry.selector))
            group = self._groups[name] = _Group(endpoints, endpoints & self.hosts)
            for number in group.endpoints:
                self._matched.setdefault(number, set()).add(name)
        insort(group.tiers.setdefault(entry.tier, []), _rank(policy, entry))
        self._touch(policy, group)

    def _leave(self, policy: PolicyId, entry: Entry) -> None:
        name = entry.selector.canonical
        group = self._groups[name]
        del self._entries[policy]
        ranks = group.tiers[entry.tier]
        del ranks[bisect_left(ranks, _rank(policy, entry))]
        if not ranks:
            del group.tiers[entry.tier]
        self._touch(policy, group)
        if not group.tiers:
            del self._groups[name]
            self._index.remove(name)
            for number in group.endpoints:
                self._matched[number].discard(name)

    def _touch(self, policy: PolicyId, group: _Group) -> None:
        if group.endpoints:
            self.moved |= group.endpoints
            self.woken.add(policy)


def _rank(policy: PolicyId, entry: Entry) -> Rank:
    return Rank(entry.order, entry.tie, policy, entry)
