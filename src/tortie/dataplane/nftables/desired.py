"""What one node's tables should hold, folded from deltas. Pure.

Sets keep their members and, where these are real prefixes, the disjoint cover that an interval set
needs. `fold` says what it touched, so that the cost of a change does not grow with the rest.
"""

from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple, TypeVar

from tortie.dataplane.nftables.sets import Element, Layout, member_element
from tortie.dataplane.policy.families import FAMILIES
from tortie.dataplane.policy.interfaces import Addresses
from tortie.engine.delta import Delta, MemberChange, ServiceCidrs, SetContents
from tortie.net.cover import MaximalPrefixes
from tortie.policy.program import (
    Endpoint,
    EndpointId,
    HostEndpoint,
    IPPort,
    Member,
    Policy,
    PolicyId,
    Profile,
    SetId,
    SetKind,
)

SetKey = tuple[int, SetId]  # IP version, set
Owner = TypeVar("Owner", PolicyId, str)


class ElementChange(NamedTuple):
    """Elements that a set in the kernel gains and loses."""

    added: set[Element]
    removed: set[Element]


class FamilySet:
    """The members of one IP version of a program set, and how the kernel keeps them."""

    def __init__(self, kind: SetKind, members: Iterable[Member] = ()) -> None:
        self._kind = kind
        self.layout = Layout.IP_PORTS if kind is SetKind.IP_PORT else Layout.ADDRESSES
        self.members: set[Member] = set(members)
        self._cover = MaximalPrefixes()
        if any(_is_net(one) for one in self.members):
            self.widen()

    def widen(self) -> None:
        """Keep the members as an interval set from now on."""
        self.layout, self._cover = Layout.NETS, MaximalPrefixes()
        for one in self.members:
            if not isinstance(one, IPPort):
                self._cover.add(one)

    def elements(self) -> Iterator[Element]:
        """What the kernel's set should hold."""
        wanted: Iterable[Member] = self.members
        if self.layout is Layout.NETS:
            wanted = self._cover.cover
        return (member_element(self.layout, one) for one in wanted)

    def change(self, added: Set[Member], removed: Set[Member]) -> ElementChange | None:
        """Take a change of members; None when it needs another layout: the set begins anew."""
        coming, going = added - self.members, removed & self.members
        self.members |= coming
        self.members -= going
        if self.layout is Layout.NETS:
            return self._cover_change(coming, going)
        if self.layout is Layout.ADDRESSES and any(_is_net(one) for one in coming):
            self.widen()
            return None
        return ElementChange(self._encoded(coming), self._encoded(going))

    def _encoded(self, members: Iterable[Member]) -> set[Element]:
        return {member_element(self.layout, one) for one in members}

    def _cover_change(self, coming: Set[Member], going: Set[Member]) -> ElementChange:
        change = ElementChange(set(), set())
        steps = [(self._cover.remove, one) for one in going if not isinstance(one, IPPort)]
        steps += [(self._cover.add, one) for one in coming if not isinstance(one, IPPort)]
        for step, one in steps:
            result = step(one)
            _settle(change.removed, change.added, self._encoded(result.removed))
            _settle(change.added, change.removed, self._encoded(result.added))
        return change


def _settle(into: set[Element], against: set[Element], elements: set[Element]) -> None:
    """Take elements into one side of a change; what the other side holds cancels out."""
    into |= elements - against
    against -= elements


def _is_net(member: Member) -> bool:
    return not isinstance(member, IPPort) and not member.is_single


class Touched:
    """What a fold changed: what to look at when planning a transaction."""

    def __init__(self) -> None:
        self.sets: set[SetKey] = set()  # to be created, begun anew, or removed
        self.elements: dict[SetKey, ElementChange] = {}
        self.policies: set[PolicyId] = set()
        self.profiles: set[str] = set()
        self.interfaces: set[str] = set()
        self.services = False  # their addresses
        self.hosts = False  # host endpoints, or the addresses of the node's interfaces


class Desired:
    """The folded deltas of one node."""

    def __init__(self) -> None:
        self.sets: dict[SetKey, FamilySet] = {}
        self.policies: dict[PolicyId, Policy] = {}
        self.profiles: dict[str, Profile] = {}
        self.endpoints: dict[EndpointId, Endpoint] = {}
        self.hosts: dict[EndpointId, HostEndpoint] = {}
        self.services = ServiceCidrs()
        self.addresses: Addresses = {}  # of the node's interfaces, where a host endpoint asks
        self.interfaces: dict[str, EndpointId] = {}  # whose policy guards each
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

    def fold(self, delta: Delta) -> Touched:
        """Take a delta in."""
        touched = Touched()
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
        return touched

    @property
    def expects_addresses(self) -> bool:
        """Whether some host endpoint is told by the addresses of its interface."""
        return any(not host.interface for host in self.hosts.values())

    def _put_set(self, set_id: SetId, contents: SetContents, touched: Touched) -> None:
        for family in FAMILIES:
            key = (family.version, set_id)
            members = {one for one in contents.members if one.version == family.version}
            known = self.sets.get(key)
            if known is None or (known.layout is Layout.IP_PORTS) != (
                contents.kind is SetKind.IP_PORT
            ):
                self.sets[key] = FamilySet(contents.kind, members)
                touched.sets.add(key)
            else:
                self._change(key, members - known.members, known.members - members, touched)

    def _change_set(self, set_id: SetId, change: MemberChange, touched: Touched) -> None:
        for family in FAMILIES:
            added = {one for one in change.added if one.version == family.version}
            removed = {one for one in change.removed if one.version == family.version}
            if added or removed:
                self._change((family.version, set_id), added, removed, touched)

    def _change(
        self, key: SetKey, added: set[Member], removed: set[Member], touched: Touched
    ) -> None:
        known = self.sets.get(key)
        if known is None:
            return  # members of a set that was never given: nothing can name it either
        change = known.change(added, removed)
        if change is None:
            touched.sets.add(key)
        elif change.added or change.removed:
            whole = touched.elements.setdefault(key, ElementChange(set(), set()))
            _settle(whole.removed, whole.added, change.removed)
            _settle(whole.added, whole.removed, change.added)

    def _fold_policies(self, delta: Delta, touched: Touched) -> None:
        for name in (*delta.policies, *delta.policies_removed):
            old, new = self.policies.pop(name, None), delta.policies.get(name)
            _move(self._policy_users, name, _sets_of(old), _sets_of(new))
            if new is not None:
                self.policies[name] = new
            touched.policies.add(name)

    def _fold_profiles(self, delta: Delta, touched: Touched) -> None:
        for name in (*delta.profiles, *delta.profiles_removed):
            old, new = self.profiles.pop(name, None), delta.profiles.get(name)
            _move(self._profile_users, name, _sets_of(old), _sets_of(new))
            if new is not None:
                self.profiles[name] = new
            touched.profiles.add(name)

    def _fold_endpoints(self, delta: Delta, touched: Touched) -> None:
        """An interface may go from one endpoint to another in one delta."""
        for name in (*delta.endpoints_removed, *delta.endpoints):
            old, new = self.endpoints.pop(name, None), delta.endpoints.get(name)
            if old is not None:
                self._claims[old.interface].discard(name)
                self._settle_interface(old.interface, touched)
            if new is not None:
                self.endpoints[name] = new
                self._claims.setdefault(new.interface, set()).add(name)
                self._settle_interface(new.interface, touched)

    def _fold_hosts(self, delta: Delta, touched: Touched) -> None:
        for name in delta.host_endpoints_removed:
            self.hosts.pop(name, None)
        self.hosts.update(delta.host_endpoints)
        touched.hosts = bool(delta.host_endpoints or delta.host_endpoints_removed)

    def _settle_interface(self, interface: str, touched: Touched) -> None:
        """The lowest id gets it, as in the routes: else the order of updates would decide."""
        touched.interfaces.add(interface)
        claims = self._claims[interface]
        if claims:
            self.interfaces[interface] = min(claims)
        else:
            del self._claims[interface], self.interfaces[interface]


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
