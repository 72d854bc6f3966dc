"""What one node's tables and sets should hold, folded from deltas. Pure.

Policies, profiles and endpoints are folded as the nftables driver does it; the sets are ipset's.
"""

from collections.abc import Iterator, Set

from msgspec.structs import replace

from tortie.dataplane.iptables.hosts import Hosts
from tortie.dataplane.iptables.sets import ElementChange, FamilySet, SetType
from tortie.dataplane.nftables import desired as nftables
from tortie.engine.delta import Delta, SetContents
from tortie.policy.program import (
    Endpoint,
    Member,
    PolicyId,
    SetId,
)

SetKey = tuple[int, SetId]  # IP version, set
VERSIONS = (4, 6)
_AT_ONCE = 512  # elements: a set that changes more, and by more than half, is made anew


class Touched:
    """What a fold changed: what to look at when planning."""

    def __init__(self) -> None:
        self.sets: set[SetKey] = set()  # to be made, made anew, or removed
        self.elements: dict[SetKey, ElementChange] = {}
        self.policies: set[PolicyId] = set()
        self.profiles: set[str] = set()
        self.interfaces: set[str] = set()
        self.services = False  # their addresses
        self.hosts = False  # host endpoints, or what decides which interface is whose


class Desired:
    """The folded deltas of one node."""

    def __init__(self) -> None:
        self.program = nftables.Desired()
        self.sets: dict[SetKey, FamilySet] = {}

    @property
    def hosts(self) -> Hosts:
        """The node's host endpoints."""
        return Hosts(self.program.hosts, self.program.addresses)

    def guarded(self) -> Iterator[Endpoint]:
        """The endpoints that have their interface."""
        for owner in self.program.interfaces.values():
            yield self.program.endpoints[owner]

    def fold(self, delta: Delta) -> Touched:
        """Take a delta in."""
        touched = Touched()
        for set_id, contents in delta.sets.items():
            self._put_set(set_id, contents, touched)
        for set_id, change in delta.members.items():
            self._change_set(set_id, change.added, change.removed, touched)
        for set_id in delta.sets_removed:
            for version in VERSIONS:
                if self.sets.pop((version, set_id), None) is not None:
                    touched.sets.add((version, set_id))
        rest = self.program.fold(replace(delta, sets={}, members={}, sets_removed=frozenset()))
        touched.policies, touched.profiles = rest.policies, rest.profiles
        touched.interfaces, touched.services = rest.interfaces, rest.services
        # Early policies have chains of their own, which change with them.
        touched.hosts = rest.hosts or bool(self.program.hosts and rest.policies)
        return touched

    def _put_set(self, set_id: SetId, contents: SetContents, touched: Touched) -> None:
        for version in VERSIONS:
            key = (version, set_id)
            known = self.sets.get(key)
            if known is None or known.type is not SetType.of(contents.kind):
                self.sets[key] = FamilySet(version, contents.kind, contents.members)
                touched.sets.add(key)
            else:
                self._change(key, contents.members, known.members - contents.members, touched)

    def _change_set(
        self, set_id: SetId, added: Set[Member], removed: Set[Member], touched: Touched
    ) -> None:
        for version in VERSIONS:
            # Members of a set that was never given: nothing can name it either.
            if (version, set_id) in self.sets:
                self._change((version, set_id), added, removed, touched)

    def _change(
        self, key: SetKey, added: Set[Member], removed: Set[Member], touched: Touched
    ) -> None:
        known = self.sets[key]
        change = known.change(added, removed)
        if key in touched.elements or is_large(change, len(known.members)):
            touched.sets.add(key)
        elif change:
            touched.elements[key] = change


def is_large(change: ElementChange, size: int) -> bool:
    """Whether a whole new set is the better way: at once, and with less to say."""
    count = len(change.added) + len(change.removed)
    return count > _AT_ONCE and count * 2 > size
