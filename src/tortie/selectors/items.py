"""Items by number, with their labels, and what one change does to them, grouped by label."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from pyroaring import BitMap

from tortie.selectors.matching import Labels

ItemId = TypeVar("ItemId", bound=Hashable)


_FEW = 16


def union(bitmaps: Collection[BitMap]) -> BitMap:
    """The numbers in any of these, as a bitmap of its own.

    `BitMap.union` is made for many: it works in 8 kB blocks, which for a few small ones costs four
    times as much and leaves the heap in pieces.
    """
    if len(bitmaps) > _FEW:
        return BitMap.union(*bitmaps)
    found = BitMap()
    for bitmap in bitmaps:
        found |= bitmap
    return found


class Groups(dict[str, dict[str, BitMap]]):
    """The numbers of items that share a label: key → value → numbers."""

    def __missing__(self, key: str) -> dict[str, BitMap]:
        found = self[key] = defaultdict(BitMap)
        return found

    def add(self, labels: Iterable[tuple[str, str]], number: int) -> None:
        """Put an item to each of these labels."""
        for key, value in labels:
            self[key][value].add(number)


class Change:
    """What happened to which items, by number.

    `appeared` and `vanished` are the labels of items that are `born` or `gone`. `gained` and `lost`
    are those of items that stay, whose old labels `before` has; `keyless` are those of them that
    lost a key, by that key.
    """

    __slots__ = ("appeared", "before", "born", "gained", "gone", "keyless", "lost", "vanished")

    def __init__(self) -> None:
        self.born: list[int] = []
        self.gone: list[int] = []
        self.before: dict[int, Labels] = {}
        self.appeared = Groups()
        self.vanished = Groups()
        self.gained = Groups()
        self.lost = Groups()
        self.keyless: dict[str, list[int]] = defaultdict(list)


class OneChange:
    """What happened to a single item; for the many changes that come one by one.

    `gained` and `lost` are pairs of label and value, `keyless` the labels that it has no more.
    `old` and `new` are None where the item was not there, or is not.
    """

    __slots__ = ("gained", "keyless", "lost", "new", "number", "old")

    def __init__(self, number: int, old: Labels | None, new: Labels | None) -> None:
        self.number = number
        self.old = old
        self.new = new
        before, after = old or {}, new or {}
        self.gained = [pair for pair in after.items() if before.get(pair[0]) != pair[1]]
        self.lost = [pair for pair in before.items() if after.get(pair[0]) != pair[1]]
        self.keyless = [key for key, _ in self.lost if key not in after]


class Items(Generic[ItemId]):
    """Items with dense numbers from 0; a number is used again once its item is forgotten."""

    def __init__(self) -> None:
        self._numbers: dict[ItemId, int] = {}
        self._ids: dict[int, ItemId] = {}
        self._labels: list[Labels | None] = []
        self._free: list[int] = []

    def note(self, items: Mapping[ItemId, Labels | None]) -> Change:
        """Take in new labels; removed items keep their names until `forget`."""
        change = Change()
        for item, labels in items.items():
            number = self._numbers.get(item)
            if number is not None:
                self._alter(number, labels, change)
            elif labels is not None:
                self._create(item, labels, change)
        return change

    def note_one(self, item: ItemId, labels: Labels | None) -> OneChange | None:
        """The same for one item; None where nothing changes."""
        number = self._numbers.get(item)
        if number is None:
            return None if labels is None else OneChange(self._number(item, labels), None, labels)
        old = self._labels[number]
        self._labels[number] = labels
        change = OneChange(number, old, labels)
        return change if labels is None or change.gained or change.lost else None

    def labels(self, number: int) -> Labels | None:
        """The labels of an item; None for one that is gone."""
        return self._labels[number]

    def name(self, number: int) -> ItemId:
        """The item of this number."""
        return self._ids[number]

    def names(self, numbers: BitMap) -> list[ItemId]:
        """The items of these numbers."""
        return list(map(self._ids.__getitem__, numbers.to_array()))

    def forget(self, gone: list[int]) -> None:
        """Drop the names of items that are gone and free their numbers."""
        for number in gone:
            del self._numbers[self._ids.pop(number)]
        self._free.extend(gone)

    def _create(self, item: ItemId, labels: Labels, change: Change) -> None:
        number = self._number(item, labels)
        change.born.append(number)
        change.appeared.add(labels.items(), number)

    def _number(self, item: ItemId, labels: Labels) -> int:
        """A number for a new item."""
        if self._free:
            number = self._free.pop()
            self._labels[number] = labels
        else:
            number = len(self._labels)
            self._labels.append(labels)
        self._numbers[item] = number
        self._ids[number] = item
        return number

    def _alter(self, number: int, labels: Labels | None, change: Change) -> None:
        old = self._labels[number] or {}
        self._labels[number] = labels
        if labels is None:
            change.gone.append(number)
            change.vanished.add(old.items(), number)
        else:
            self._compare(number, old, labels, change)

    def _compare(self, number: int, old: Labels, labels: Labels, change: Change) -> None:
        """Note what differs. Pair by pair: sets of both would cost several times as much."""
        differs = False
        for key, value in labels.items():
            was = old.get(key)
            if was != value:
                differs = True
                change.gained[key][value].add(number)
                if was is not None:
                    change.lost[key][was].add(number)
        if not differs and len(old) == len(labels):
            return
        change.before[number] = old
        for key in old.keys() - labels.keys():
            change.lost[key][old[key]].add(number)
            change.keyless[key].append(number)
