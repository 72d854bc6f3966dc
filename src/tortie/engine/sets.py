"""The sets that the active policies need, and their members.

A member is counted: two endpoints that share an address (one going, one coming) are two reasons
for it, and it leaves with the last. Changes within one round cancel out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tortie.api import Key
from tortie.engine.delta import ALL_HOSTS, ALL_POOLS, MASQ_POOLS, MemberChange, SetContents
from tortie.engine.items import Item
from tortie.engine.registry import Round
from tortie.engine.services import ServiceName, Slice
from tortie.engine.setspecs import AnySpec, ServiceSpec, SetSpec
from tortie.net import Prefix
from tortie.policy.program import IPPort, Member, SetId, SetKind
from tortie.selectors.index import SelectorIndex


class LiveSet:
    """One set: its members, each with the number of reasons for it."""

    __slots__ = ("_before", "kind", "members", "spec")

    def __init__(self, kind: SetKind, spec: AnySpec | None = None) -> None:
        self.kind = kind
        self.spec = spec
        self.members: dict[Member, int] = {}
        self._before: dict[Member, bool] | None = None  # None: never told, so told as a whole

    def add(self, members: Iterable[Member]) -> None:
        """One reason more for each."""
        counts, before = self.members, self._before
        for member in members:
            count = counts.get(member, 0)
            counts[member] = count + 1
            if not count and before is not None:
                before.setdefault(member, False)

    def discard(self, members: Iterable[Member]) -> None:
        """One reason less for each."""
        counts, before = self.members, self._before
        for member in members:
            count = counts[member] - 1
            if count:
                counts[member] = count
                continue
            del counts[member]
            if before is not None:
                before.setdefault(member, True)

    def drain(self) -> SetContents | MemberChange | None:
        """What to tell of it; None where it is as told before."""
        before, self._before = self._before, {}
        if before is None:
            return SetContents(self.kind, frozenset(self.members))
        added = [m for m, was in before.items() if not was and m in self.members]
        removed = [m for m, was in before.items() if was and m not in self.members]
        if not added and not removed:
            return None
        return MemberChange(frozenset(added), frozenset(removed))


class SetChanges(NamedTuple):
    """The part of a delta that is about sets."""

    sets: dict[SetId, SetContents]
    members: dict[SetId, MemberChange]
    removed: frozenset[SetId]


class Sets:
    """The fixed sets, and one for each specification that somebody wants."""

    def __init__(self, items: Mapping[int, Item]) -> None:
        self._items = items
        self._index: SelectorIndex[str, int] = SelectorIndex()
        self._sets = {name: LiveSet(SetKind.NET) for name in (MASQ_POOLS, ALL_POOLS, ALL_HOSTS)}
        self._fed: dict[str, list[LiveSet]] = {}  # canonical selector → the sets of it
        self._slices: dict[Key, Slice] = {}
        self._behind: defaultdict[ServiceName, set[Key]] = defaultdict(set)
        self._served: defaultdict[ServiceName, list[LiveSet]] = defaultdict(list)
        self._touched: set[SetId] = set(self._sets)
        self._removed: list[SetId] = []

    def __len__(self) -> int:
        return len(self._sets)

    def fixed(self, name: SetId) -> LiveSet:
        """A fixed set, to be changed."""
        self._touched.add(name)
        return self._sets[name]

    def titles(self) -> dict[SetId, str]:
        """What each set that has a specification holds, for people."""
        return {name: live.spec.title for name, live in self._sets.items() if live.spec is not None}

    def update(self, done: Round) -> None:
        """Take in what a round did to items.

        What changed its networks leaves every set as it was and comes back as it is: rare, and so
        no record is needed of which item is in which sets.
        """
        if done.before:
            self._shift(dict.fromkeys(done.before), done.before)
        present = {n: labels for n, labels in done.labels.items() if labels is not None}
        if present:
            self._shift(present, self._items)

    def put_slice(self, key: Key, new: Slice | None) -> None:
        """Take in a part of what is behind a service, or its end."""
        old = self._slices.pop(key, None)
        if new is not None:
            self._slices[key] = new
        if old == new:
            return
        for each in filter(None, (old, new)):
            _put(self._behind, each.service, key, each is new)
            for live in self._served.get(each.service, ()):
                (live.add if each is new else live.discard)(_behind(each, live.kind))
                assert live.spec is not None
                self._touched.add(live.spec.id)

    def want(self, spec: AnySpec) -> None:
        """Begin a set that nobody wanted so far."""
        live = self._sets[spec.id] = LiveSet(spec.kind, spec)
        if isinstance(spec, ServiceSpec):
            service = (spec.namespace, spec.name)
            self._served[service].append(live)
            for key in self._behind.get(service, ()):
                live.add(_behind(self._slices[key], live.kind))
        else:
            name = spec.selector.canonical
            self._fed.setdefault(name, []).append(live)
            for number in self._index.add(name, spec.selector):
                live.add(_members(self._items[number], spec))
        self._touched.add(spec.id)

    def unwant(self, name: SetId) -> None:
        """End a set that nobody wants any more."""
        live = self._sets.pop(name)
        assert live.spec is not None, f"{name} is fixed"
        if isinstance(live.spec, ServiceSpec):
            service = (live.spec.namespace, live.spec.name)
            self._served[service].remove(live)
            if not self._served[service]:
                del self._served[service]
        else:
            selector = live.spec.selector.canonical
            self._fed[selector].remove(live)
            if not self._fed[selector]:
                del self._fed[selector]
                self._index.remove(selector)
        self._touched.discard(name)
        self._removed.append(name)

    def drain(self) -> SetChanges:
        """What changed since the last call."""
        whole: dict[SetId, SetContents] = {}
        members: dict[SetId, MemberChange] = {}
        for name in self._touched:
            match self._sets[name].drain():
                case SetContents() as contents:
                    whole[name] = contents
                case MemberChange() as change:
                    members[name] = change
        changes = SetChanges(whole, members, frozenset(self._removed))
        self._touched, self._removed = set(), []
        return changes

    def _shift(
        self, labels: Mapping[int, Mapping[str, str] | None], items: Mapping[int, Item]
    ) -> None:
        """Tell the index, and move the items that it names into and out of sets."""
        for change in self._index.apply(labels):
            item = items[change.item]
            for live in self._fed[change.selector_id]:
                spec = live.spec
                assert isinstance(spec, SetSpec)
                self._touched.add(spec.id)
                found = _members(item, spec)
                if change.matched:
                    live.add(found)
                else:
                    live.discard(found)


def _put(index: defaultdict[ServiceName, set[Key]], at: ServiceName, key: Key, there: bool) -> None:
    if there:
        index[at].add(key)
        return
    index[at].discard(key)
    if not index[at]:
        del index[at]


def _behind(part: Slice, kind: SetKind) -> Iterable[Member]:
    return part.nets if kind is SetKind.NET else part.ip_ports()


def _members(item: Item, spec: SetSpec) -> Iterable[Prefix] | Iterator[IPPort]:
    """What one item puts into a set that selects it."""
    if spec.kind is SetKind.NET:
        return item.nets
    return _ip_ports(item, spec)


def _ip_ports(item: Item, spec: SetSpec) -> Iterator[IPPort]:
    for port in item.ports:
        if port.name == spec.port and port.protocol == spec.protocol:
            for net in item.nets:
                if net.is_single:
                    yield IPPort(net.version, net.address, port.protocol, port.port)
