"""Which selectors a change concerns.

When labels of a standing item change, a selector can only change its mind if it mentions a pair or
key that changed (`mentions`). When an item comes or goes, far fewer need be asked: a selector that
demands one of some pairs, or a key, is found by the one demand that the fewest others share
(`demands`); a selector without demands is asked about every item. The same way serves for a
standing item where the mentions are too many.
"""

from collections.abc import Hashable, Iterable, Iterator
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from pyroaring import BitMap

from tortie.selectors.bitmaps import LabelBitmaps
from tortie.selectors.items import Change, Groups, OneChange, union
from tortie.selectors.matching import Labels
from tortie.selectors.restrictions import LabelRestriction, Restrictions, restrictions
from tortie.selectors.selector import Selector
from tortie.selectors.tree import All, Equals, Global, In, Node, NotEquals, NotIn, leaves

SelectorId = TypeVar("SelectorId", bound=Hashable)
Pair = tuple[str, str]  # a label's key and value

_FEW_ITEMS = 16
_CROWD = 64  # selectors: below this a narrower choice isn't worth looking for


class Place(NamedTuple):
    """Under which labels, by pair and by key alone, a selector is listed."""

    pairs: tuple[Pair, ...] = ()
    keys: tuple[str, ...] = ()


_NOWHERE = Place()


class Tracked(Generic[SelectorId]):
    """A selector in the index, and the numbers of the items that it matches."""

    __slots__ = ("demand", "id", "members", "mentions", "selector")

    def __init__(self, selector_id: SelectorId, selector: Selector, members: BitMap) -> None:
        self.id = selector_id
        self.selector = selector
        self.members = members
        self.mentions = self.demand = _NOWHERE


Concerned = dict[Tracked[SelectorId], BitMap]  # each with the items to ask it about
_Crowd = dict[Tracked[SelectorId], None]


class _Listing(Generic[SelectorId]):
    """Selectors by label."""

    def __init__(self) -> None:
        self.by_pair: dict[Pair, _Crowd[SelectorId]] = {}
        self.by_key: dict[str, _Crowd[SelectorId]] = {}

    def add(self, tracked: Tracked[SelectorId], place: Place) -> None:
        for pair in place.pairs:
            self.by_pair.setdefault(pair, {})[tracked] = None
        for key in place.keys:
            self.by_key.setdefault(key, {})[tracked] = None

    def remove(self, tracked: Tracked[SelectorId], place: Place) -> None:
        for pair in place.pairs:
            self.by_pair[pair].pop(tracked, None)
            if not self.by_pair[pair]:
                del self.by_pair[pair]
        for key in place.keys:
            self.by_key[key].pop(tracked, None)
            if not self.by_key[key]:
                del self.by_key[key]

    def of_pairs(self, pairs: Iterable[Pair]) -> Iterator[_Crowd[SelectorId]]:
        """Who is listed under these labels."""
        by_key, by_pair = self.by_key, self.by_pair
        for pair in pairs:
            if pair[0] in by_key:
                yield by_key[pair[0]]
            if pair in by_pair:
                yield by_pair[pair]

    def find(self, groups: Groups) -> Iterator[tuple[_Crowd[SelectorId], BitMap]]:
        """Who is listed under these labels, with the items that have them."""
        for key, values in groups.items():
            if crowd := self.by_key.get(key):
                yield crowd, union(values.values())
            for value, numbers in values.items():
                if crowd := self.by_pair.get((key, value)):
                    yield crowd, numbers


class Audience(Generic[SelectorId]):
    """All selectors of an index, findable by what they care about."""

    def __init__(self, bitmaps: LabelBitmaps) -> None:
        self._bitmaps = bitmaps
        self._mentions: _Listing[SelectorId] = _Listing()
        self._demands: _Listing[SelectorId] = _Listing()
        self._undemanding: dict[Tracked[SelectorId], None] = {}

    def add(self, tracked: Tracked[SelectorId]) -> None:
        """List a selector; one that can match nothing is never asked."""
        demands = restrictions(tracked.selector.tree)
        if demands is None:
            return
        tracked.mentions = _mentions_of(tracked.selector.tree)
        tracked.demand = self._rarest(demands)
        self._mentions.add(tracked, tracked.mentions)
        self._demands.add(tracked, tracked.demand)
        if tracked.demand == _NOWHERE:
            self._undemanding[tracked] = None

    def remove(self, tracked: Tracked[SelectorId]) -> None:
        """Take a selector off the lists."""
        self._mentions.remove(tracked, tracked.mentions)
        self._demands.remove(tracked, tracked.demand)
        self._undemanding.pop(tracked, None)

    def of(self, change: Change) -> Concerned[SelectorId]:
        """The selectors that may match otherwise after a change, with the items in question."""
        found = [*self._demands.find(change.appeared), *self._demands.find(change.vanished)]
        if change.born or change.gone:
            found.append((self._undemanding, BitMap(change.born) | BitMap(change.gone)))
        if change.before:
            found += self._of_altered(change)
        concerned: Concerned[SelectorId] = {}
        for crowd, numbers in found:
            for tracked in crowd:
                known = concerned.get(tracked)
                concerned[tracked] = numbers if known is None else known | numbers
        return concerned

    def of_one(self, change: OneChange) -> Iterable[Tracked[SelectorId]]:
        """The selectors that may match a single item otherwise after its change."""
        if change.old is None or change.new is None:
            labels = change.new or change.old or {}
            crowds = [*self._demands.of_pairs(labels.items()), self._undemanding]
        else:
            crowds = self._of_one_altered(change, change.old)
        return dict.fromkeys(chain.from_iterable(crowds))

    def _of_one_altered(self, change: OneChange, old: Labels) -> list[_Crowd[SelectorId]]:
        mentioning = [*self._mentions.of_pairs([*change.gained, *change.lost])]
        if sum(map(len, mentioning)) <= _CROWD:
            return mentioning
        demanding = [*self._demands.of_pairs([*old.items(), *change.gained]), self._undemanding]
        return min(mentioning, demanding, key=lambda crowds: sum(map(len, crowds)))

    def _of_altered(self, change: Change) -> list[tuple[_Crowd[SelectorId], BitMap]]:
        """Who mentions what changed; or, if that is a crowd, whose demand is met at all."""
        mentioning = [*self._mentions.find(change.gained), *self._mentions.find(change.lost)]
        if len(change.before) > _FEW_ITEMS or _size(mentioning) <= _CROWD:
            return mentioning
        whole = Groups()
        for number, labels in change.before.items():
            whole.add(labels.items(), number)
        demanding = [*self._demands.find(whole), *self._demands.find(change.gained)]
        demanding.append((self._undemanding, BitMap(change.before)))
        return min(mentioning, demanding, key=_size)

    def _rarest(self, demands: Restrictions) -> Place:
        """The demand that the fewest items meet and the fewest selectors make."""
        places = [_place_of(key, found) for key, found in demands.items()]
        places = [place for place in places if place is not _NOWHERE]
        if len(places) > 1:
            return min(places, key=self._cost)
        return places[0] if places else _NOWHERE

    def _cost(self, place: Place) -> int:
        """How often someone listed there is asked, roughly: items times selectors."""
        items = selectors = 1
        for pair in place.pairs:
            items += len(self._bitmaps.having(*pair))
            selectors += len(self._demands.by_pair.get(pair, ()))
        for key in place.keys:
            items += len(self._bitmaps.present(key))
            selectors += len(self._demands.by_key.get(key, ()))
        return items * selectors


def _size(found: list[tuple[_Crowd[SelectorId], BitMap]]) -> int:
    return sum([len(crowd) for crowd, _ in found])


def _place_of(key: str, found: LabelRestriction) -> Place:
    """Where what makes this demand is listed; nowhere for a demand that a label be absent."""
    if found.must_have_one_of_values is not None:
        return Place(pairs=tuple([(key, value) for value in found.must_have_one_of_values]))
    return Place(keys=(key,)) if found.must_be_present else _NOWHERE


def _mentions_of(tree: Node) -> Place:
    """The pairs and keys whose coming or going can change what a tree says."""
    pairs: dict[Pair, None] = {}
    keys: dict[str, None] = {}
    for leaf in leaves(tree):
        match leaf:
            case Equals(key, value) | NotEquals(key, value):
                pairs[key, value] = None
            case In(key, values) | NotIn(key, values):
                pairs.update(dict.fromkeys([(key, value) for value in values]))
            case All() | Global():
                pass
            case by_key:
                keys[by_key.key] = None
    return Place(tuple(pairs), tuple(keys))
