"""Which selectors a change concerns.

When labels of a standing item change, a selector can only change its mind if it mentions a pair or
key that changed (`mentions`). When an item comes or goes, far fewer need be asked: a selector that
demands one of some pairs, or a key, is found by the one demand that the fewest others share
(`demands`); a selector without demands is asked about every item.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from pyroaring import BitMap

from tortie.selectors.bitmaps import LabelBitmaps
from tortie.selectors.items import Change, Groups, Pair
from tortie.selectors.restrictions import LabelRestriction, Restrictions, restrictions
from tortie.selectors.selector import Selector
from tortie.selectors.tree import All, Equals, Global, In, Node, NotEquals, NotIn, leaves

SelectorId = TypeVar("SelectorId", bound=Hashable)


class Tracked(Generic[SelectorId]):
    """A selector in the index, and the numbers of the items that it matches."""

    __slots__ = ("demand", "id", "members", "mentions", "selector")

    def __init__(self, selector_id: SelectorId, selector: Selector, members: BitMap) -> None:
        self.id = selector_id
        self.selector = selector
        self.members = members
        self.mentions = self.demand = _NOWHERE


class _Place(NamedTuple):
    """Where a selector is listed."""

    pairs: tuple[Pair, ...] = ()
    keys: tuple[str, ...] = ()


_NOWHERE = _Place()
Concerned = dict[Tracked[SelectorId], list[list[int]]]  # each with the items to ask it about


class _Listing(Generic[SelectorId]):
    """Selectors by label pair and by key."""

    def __init__(self) -> None:
        self.by_pair: dict[Pair, dict[Tracked[SelectorId], None]] = {}
        self.by_key: dict[str, dict[Tracked[SelectorId], None]] = {}

    def add(self, tracked: Tracked[SelectorId], place: _Place) -> None:
        for pair in place.pairs:
            self.by_pair.setdefault(pair, {})[tracked] = None
        for key in place.keys:
            self.by_key.setdefault(key, {})[tracked] = None

    def remove(self, tracked: Tracked[SelectorId], place: _Place) -> None:
        for pair in place.pairs:
            self.by_pair[pair].pop(tracked, None)
            if not self.by_pair[pair]:
                del self.by_pair[pair]
        for key in place.keys:
            self.by_key[key].pop(tracked, None)
            if not self.by_key[key]:
                del self.by_key[key]

    def find(self, groups: Groups, concerned: Concerned[SelectorId]) -> None:
        """Note who is listed under these pairs and their keys."""
        keyed: dict[str, list[int]] = defaultdict(list)
        for pair, numbers in groups.items():
            for tracked in self.by_pair.get(pair, ()):
                concerned[tracked].append(numbers)
            if pair[0] in self.by_key:
                keyed[pair[0]].extend(numbers)
        for key, numbers in keyed.items():
            for tracked in self.by_key[key]:
                concerned[tracked].append(numbers)


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
        concerned: Concerned[SelectorId] = defaultdict(list)
        self._mentions.find(change.gained, concerned)
        self._mentions.find(change.lost, concerned)
        self._demands.find(change.appeared, concerned)
        self._demands.find(change.vanished, concerned)
        come_or_gone = change.born + change.gone
        if come_or_gone:
            for tracked in self._undemanding:
                concerned[tracked].append(come_or_gone)
        return concerned

    def _rarest(self, demands: Restrictions) -> _Place:
        """The demand that the fewest items meet and the fewest selectors make."""
        best, least = _NOWHERE, 0
        for key, found in demands.items():
            place = _place_of(key, found)
            cost = self._cost(place)
            if place != _NOWHERE and (best == _NOWHERE or cost < least):
                best, least = place, cost
        return best

    def _cost(self, place: _Place) -> int:
        """How often someone listed there is asked, roughly: items times selectors."""
        items = selectors = 1
        for pair in place.pairs:
            items += len(self._bitmaps.having(*pair))
            selectors += len(self._demands.by_pair.get(pair, ()))
        for key in place.keys:
            items += len(self._bitmaps.present(key))
            selectors += len(self._demands.by_key.get(key, ()))
        return items * selectors


def _place_of(key: str, found: LabelRestriction) -> _Place:
    """Where what makes this demand is listed; nowhere for a demand that a label be absent."""
    if found.must_have_one_of_values is not None:
        return _Place(pairs=tuple([(key, value) for value in found.must_have_one_of_values]))
    return _Place(keys=(key,)) if found.must_be_present else _NOWHERE


def _mentions_of(tree: Node) -> _Place:
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
    return _Place(tuple(pairs), tuple(keys))
