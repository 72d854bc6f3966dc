"""An index that keeps the members of many selectors right as labels change.

Items have dense numbers; per label and value there is a roaring bitmap of them (`bitmaps`). A
change asks only the selectors that `Audience` finds for it, each in the cheaper of two ways: by
its predicate on the few items that changed, or by bitmap algebra on all of them.
"""

from collections.abc import Hashable, Mapping
from typing import Generic, NamedTuple, TypeVar

from pyroaring import BitMap

from tortie.selectors.audience import Audience, Tracked
from tortie.selectors.bitmaps import LabelBitmaps, select
from tortie.selectors.items import Items
from tortie.selectors.matching import Labels
from tortie.selectors.selector import Selector

ItemId = TypeVar("ItemId", bound=Hashable)
SelectorId = TypeVar("SelectorId", bound=Hashable)

_FEW = 16  # items: up to here a predicate on each costs less than the algebra on all


class MatchChange(NamedTuple, Generic[SelectorId, ItemId]):
    """That a selector has begun to match an item, or has ceased to."""

    selector_id: SelectorId
    item: ItemId
    matched: bool


class SelectorIndex(Generic[SelectorId, ItemId]):
    """Items with labels on one side, selectors on the other, and who matches whom.

    Ids of both sides are any hashable values. The label mappings handed over are kept, not
    copied: they must not change afterwards.
    """

    def __init__(self) -> None:
        self._items: Items[ItemId] = Items()
        self._bitmaps = LabelBitmaps()
        self._audience: Audience[SelectorId] = Audience(self._bitmaps)
        self._tracked: dict[SelectorId, Tracked[SelectorId]] = {}

    def apply(self, items: Mapping[ItemId, Labels | None]) -> list[MatchChange[SelectorId, ItemId]]:
        """Set the labels of items, or (None) remove them; what changed for which selector.

        Each pair of selector and item is there at most once, and only if it differs from before.
        Removing an unknown item is nothing.
        """
        if len(items) == 1:
            return self._apply_one(*next(iter(items.items())))
        change = self._items.note(items)
        self._bitmaps.apply(change)
        changes: list[MatchChange[SelectorId, ItemId]] = []
        few = len(change.born) + len(change.gone) + len(change.before) <= _FEW
        for tracked, numbers in self._audience.of(change).items():
            if few or len(numbers) <= _FEW:
                self._ask(tracked, numbers, changes)
            else:
                self._compare(tracked, changes)
        self._items.forget(change.gone)
        return changes

    def add(self, selector_id: SelectorId, selector: Selector) -> list[ItemId]:
        """Track a selector; the items that it matches now. Adding it again changes nothing."""
        known = self._tracked.get(selector_id)
        if known is not None and known.selector != selector:
            self.remove(selector_id)
            known = None
        if known is None:
            members = BitMap(select(selector.tree, self._bitmaps))
            known = Tracked(selector_id, selector, members)
            self._tracked[selector_id] = known
            self._audience.add(known)
        return self._items.names(known.members)

    def remove(self, selector_id: SelectorId) -> None:
        """Forget a selector. An unknown one is nothing."""
        known = self._tracked.pop(selector_id, None)
        if known is not None:
            self._audience.remove(known)

    def members(self, selector_id: SelectorId) -> list[ItemId]:
        """The items that a tracked selector matches. Raises KeyError for one that is not."""
        return self._items.names(self._tracked[selector_id].members)

    def _apply_one(
        self, item: ItemId, labels: Labels | None
    ) -> list[MatchChange[SelectorId, ItemId]]:
        """As `apply`, for the many changes that come one by one: no bitmaps of one number."""
        change = self._items.note_one(item, labels)
        if change is None:
            return []
        self._bitmaps.apply_one(change)
        number = change.number
        changes: list[MatchChange[SelectorId, ItemId]] = []
        for tracked in self._audience.of_one(change):
            matches = labels is not None and tracked.selector.matches(labels)
            if matches is not (number in tracked.members):
                (tracked.members.add if matches else tracked.members.discard)(number)
                changes.append(MatchChange(tracked.id, item, matches))
        if labels is None:
            self._items.forget([number])
        return changes

    def _ask(
        self,
        tracked: Tracked[SelectorId],
        numbers: BitMap,
        changes: list[MatchChange[SelectorId, ItemId]],
    ) -> None:
        """Ask a selector about single items."""
        members = tracked.members
        for number in numbers:
            labels = self._items.labels(number)
            matches = labels is not None and tracked.selector.matches(labels)
            if matches is (number in members):
                continue
            if matches:
                members.add(number)
            else:
                members.discard(number)
            changes.append(MatchChange(tracked.id, self._items.name(number), matches))

    def _compare(
        self, tracked: Tracked[SelectorId], changes: list[MatchChange[SelectorId, ItemId]]
    ) -> None:
        """Work out all the items of a selector and compare with before."""
        members = select(tracked.selector.tree, self._bitmaps)
        gained, lost = members - tracked.members, tracked.members - members
        tracked.members |= gained
        tracked.members -= lost
        for numbers, matched in ((gained, True), (lost, False)):
            items = self._items.names(numbers)
            changes += [MatchChange(tracked.id, item, matched) for item in items]
