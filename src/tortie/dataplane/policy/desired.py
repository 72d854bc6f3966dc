"""What one node's firewall should hold, folded from deltas. Pure.

`fold` says what it touched, so that the cost of a change does not grow with the rest. How a set
keeps its members, and when it had better begin anew, is each firewall's to say.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Set
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from msgspec.structs import replace

from tortie.dataplane.policy.dscp import asks_for_addresses
from tortie.dataplane.policy.families import FAMILIES, Family
from tortie.dataplane.policy.interfaces import Addresses
from tortie.dataplane.policy.names import Way
from tortie.dataplane.policy.node import NodeFacts
from tortie.engine.delta import (
    ALL_HOSTS,
    ALL_POOLS,
    MASQ_POOLS,
    Delta,
    MemberChange,
    ServiceCidrs,
    SetContents,
)
from tortie.policy.program import (
    Endpoint,
    EndpointId,
    HostEndpoint,
    Member,
    Policy,
    PolicyId,
    Profile,
    SetId,
    SetKind,
)

SetKey = tuple[int, SetId]  # IP version, set
FIXED_SETS = (MASQ_POOLS, ALL_POOLS, ALL_HOSTS)  # what is asked before any policy looks into these
Owner = TypeVar("Owner", PolicyId, str)
ElementT = TypeVar("ElementT", bound=Hashable)


class Run(NamedTuple):
    """The many policies of one tier that apply to an endpoint in one direction, in order."""

    way: Way
    policies: tuple[PolicyId, ...]


MANY_POLICIES = 16  # of a tier: from here on they make a run


def runs_of(endpoint: Endpoint) -> Iterator[Run]:
    """The runs that an endpoint is behind."""
    for way, tiers in ((Way.TO, endpoint.ingress), (Way.FROM, endpoint.egress)):
        for tier in tiers:
            if len(tier.policies) >= MANY_POLICIES:
                yield Run(way, tier.policies)


class ElementChange(NamedTuple, Generic[ElementT]):
    """Elements that a set in the kernel gains and loses."""

    added: set[ElementT]
    removed: set[ElementT]


class FamilySet(Protocol[ElementT]):
    """The members of one IP version of a program's set, and how the kernel keeps them."""

    members: set[Member]

    def is_of(self, kind: SetKind) -> bool:
        """Whether it can hold what a set of this kind holds."""
        ...

    def elements(self) -> Iterable[ElementT]:
        """What the kernel's set should hold."""
        ...

    def change(self, added: Set[Member], removed: Set[Member]) -> ElementChange[ElementT] | None:
        """Take a change of members; None when the set had better begin anew."""
        ...


SetT = TypeVar("SetT", bound=FamilySet[Any])
NewSet = Callable[[Family, SetKind, Iterable[Member]], SetT]


class Touched(Generic[ElementT]):
    """What a fold changed: what to look at when planning."""

    def __init__(self) -> None:
        self.sets: set[SetKey] = set()  # to be created, begun anew, or removed
        self.elements: dict[SetKey, ElementChange[ElementT]] = {}
        self.policies: set[PolicyId] = set()
        self.profiles: set[str] = set()
        self.interfaces: set[str] = set()
        self.services = False  # their addresses
        self.floating = False  # floating addresses
        self.classes = False  # who marks what leaves the cluster
        self.hosts = False  # host endpoints, or the addresses of the node's interfaces
        self.runs: set[Run] = set()  # that came, went, or have to be looked at
        self.stirred_runs: set[Run] = set()  # of which a policy changed
        self.facts = False  # what holds for the whole node: rare, and concerns everything


class Desired(Generic[SetT, ElementT]):
    """The folded deltas of one node; `new_set` makes a set of the firewall's own kind."""

    def __init__(self, new_set: NewSet[SetT]) -> None:
        self._new_set = new_set
        self.sets: dict[SetKey, SetT] = {}
        self.policies: dict[PolicyId, Policy] = {}
        self.profiles: dict[str, Profile] = {}
        self.endpoints: dict[EndpointId, Endpoint] = {}
        self.hosts: dict[EndpointId, HostEndpoint] = {}
        self.services = ServiceCidrs()
        self.facts = NodeFacts()
        self.addresses: Addresses = {}  # of the node's interfaces, where somebody asks for them
        self.interfaces: dict[str, EndpointId] = {}  # whose policy guards each
        self.runs: dict[Run, set[EndpointId]] = {}
        self._policy_runs: dict[PolicyId, set[Run]] = {}
        self._claims: dict[str, set[EndpointId]] = {}
        self._policy_users: dict[SetId, set[PolicyId]] = {}
        self._profile_users: dict[SetId, set[str]] = {}

    def policy_users(self, set_id: SetId) -> Set[PolicyId]:
        """The policies whose rules look into a set."""
        return self._policy_users.get(set_id, frozenset())

    def profile_users(self, set_id: SetId) -> Set[str]:
        """The profiles whose rules look into a set."""
        return self._profile_users.get(set_id, frozenset())

    def rivals(self, interface: str) -> list[EndpointId]:
        """The endpoints that name an interface and do not get it."""
        return sorted(self._claims.get(interface, ()))[1:]

    def guarded(self) -> Iterator[Endpoint]:
        """The endpoints that have their interface."""
        return (self.endpoints[owner] for owner in self.interfaces.values())

    def everything(self) -> Touched[ElementT]:
        """All that is desired, but for sets, as touched."""
        touched = Touched[ElementT]()
        touched.policies.update(self.policies)
        touched.profiles.update(self.profiles)
        touched.interfaces.update(self.interfaces)
        touched.runs.update(self.runs)
        touched.hosts = touched.services = touched.floating = touched.classes = True
        return touched

    def fold(self, delta: Delta) -> Touched[ElementT]:
        """Take a delta in."""
        touched = Touched[ElementT]()
        for set_id, contents in delta.sets.items():
            self._put_set(set_id, contents, touched)
        for set_id, change in delta.members.items():
            self._change_set(set_id, change, touched)
        for set_id in delta.sets_removed:
            for family in FAMILIES:
                if self.sets.pop((family.version, set_id), None) is not None:
                    touched.sets.add((family.version, set_id))
        self._fold_policies(delta, touched)
        self._fold_profiles(delta, touched)
        self._fold_endpoints(delta, touched)
        self._fold_hosts(delta, touched)
        if delta.service_cidrs is not None:
            self.services, touched.services = delta.service_cidrs, True
        if delta.encapsulation is not None:
            facts = replace(self.facts, encapsulation=delta.encapsulation)
            self.facts, touched.facts = facts, facts != self.facts
        return touched

    @property
    def expects_addresses(self) -> bool:
        """Whether the addresses of the node's interfaces tell something."""
        hosts = self.hosts.values()
        return self.facts.is_ipvs or any(
            not one.interface or asks_for_addresses(one) for one in hosts
        )

    def _put_set(self, set_id: SetId, contents: SetContents, touched: Touched[ElementT]) -> None:
        for family in FAMILIES:
            key = (family.version, set_id)
            members = {one for one in contents.members if one.version == family.version}
            known = self.sets.get(key)
            if known is None or not known.is_of(contents.kind):
                self.sets[key] = self._new_set(family, contents.kind, members)
                touched.sets.add(key)
            else:
                self._change(key, members - known.members, known.members - members, touched)

    def _change_set(self, set_id: SetId, change: MemberChange, touched: Touched[ElementT]) -> None:
        for family in FAMILIES:
            added = {one for one in change.added if one.version == family.version}
            removed = {one for one in change.removed if one.version == family.version}
            if added or removed:
                self._change((family.version, set_id), added, removed, touched)

    def _change(
        self, key: SetKey, added: set[Member], removed: set[Member], touched: Touched[ElementT]
    ) -> None:
        known = self.sets.get(key)
        if known is None:
            return  # members of a set that was never given: nothing can name it either
        change: ElementChange[ElementT] | None = known.change(added, removed)
        if change is None:
            touched.sets.add(key)
        elif change.added or change.removed:
            whole = touched.elements.setdefault(key, ElementChange(set(), set()))
            settle(whole.removed, whole.added, change.removed)
            settle(whole.added, whole.removed, change.added)

    def _fold_policies(self, delta: Delta, touched: Touched[ElementT]) -> None:
        for name in (*delta.policies, *delta.policies_removed):
            old, new = self.policies.pop(name, None), delta.policies.get(name)
            _move(self._policy_users, name, _sets_of(old), _sets_of(new))
            if new is not None:
                self.policies[name] = new
            touched.policies.add(name)
            touched.stirred_runs |= self._policy_runs.get(name, set())

    def _fold_profiles(self, delta: Delta, touched: Touched[ElementT]) -> None:
        for name in (*delta.profiles, *delta.profiles_removed):
            old, new = self.profiles.pop(name, None), delta.profiles.get(name)
            _move(self._profile_users, name, _sets_of(old), _sets_of(new))
            if new is not None:
                self.profiles[name] = new
            touched.profiles.add(name)

    def _fold_endpoints(self, delta: Delta, touched: Touched[ElementT]) -> None:
        """An interface may go from one endpoint to another in one delta."""
        for name in (*delta.endpoints_removed, *delta.endpoints):
            old, new = self.endpoints.pop(name, None), delta.endpoints.get(name)
            _touch_addresses(old, new, touched)
            self._fold_runs(name, old, new, touched)
            if old is not None:
                self._claims[old.interface].discard(name)
                self._settle_interface(old.interface, touched)
            if new is not None:
                self.endpoints[name] = new
                self._claims.setdefault(new.interface, set()).add(name)
                self._settle_interface(new.interface, touched)

    def _fold_runs(
        self,
        name: EndpointId,
        old: Endpoint | None,
        new: Endpoint | None,
        touched: Touched[ElementT],
    ) -> None:
        had = set(runs_of(old)) if old is not None else set()
        wanted = set(runs_of(new)) if new is not None else set()
        for run in wanted - had:
            self.runs.setdefault(run, set()).add(name)
        for run in had - wanted:
            self.runs[run].discard(name)
            if not self.runs[run]:
                del self.runs[run]
        for run in had ^ wanted:
            touched.runs.add(run)
            for policy in run.policies:
                users = self._policy_runs.setdefault(policy, set())
                (users.add if run in self.runs else users.discard)(run)
                if not users:
                    del self._policy_runs[policy]

    def _fold_hosts(self, delta: Delta, touched: Touched[ElementT]) -> None:
        for name in (*delta.host_endpoints_removed, *delta.host_endpoints):
            old, new = self.hosts.pop(name, None), delta.host_endpoints.get(name)
            touched.classes |= any(one is not None and one.dscp is not None for one in (old, new))
            if new is not None:
                self.hosts[name] = new
        touched.hosts = bool(delta.host_endpoints or delta.host_endpoints_removed)

    def _settle_interface(self, interface: str, touched: Touched[ElementT]) -> None:
        """The lowest id gets it, as in the routes: else the order of updates would decide."""
        touched.interfaces.add(interface)
        claims = self._claims[interface]
        if claims:
            self.interfaces[interface] = min(claims)
        else:
            del self._claims[interface], self.interfaces[interface]


def _touch_addresses(
    old: Endpoint | None, new: Endpoint | None, touched: Touched[ElementT]
) -> None:
    """What all workloads' addresses make together: most have neither."""
    for one in (old, new):
        if one is not None:
            touched.floating |= bool(one.floating)
            touched.classes |= one.qos is not None and one.qos.dscp is not None


def settle(into: set[ElementT], against: set[ElementT], elements: set[ElementT]) -> None:
    """Take elements into one side of a change; what the other side holds cancels out."""
    into |= elements - against
    against -= elements


def _sets_of(owner: Policy | Profile | None) -> set[SetId]:
    if owner is None:
        return set()
    return {one for rule in (*owner.ingress, *owner.egress) for one in rule.set_ids}


def _move(users: dict[SetId, set[Owner]], owner: Owner, old: set[SetId], new: set[SetId]) -> None:
    for gone in old - new:
        users[gone].discard(owner)
        if not users[gone]:
            del users[gone]
    for come in new - old:
        users.setdefault(come, set()).add(owner)
