"""Items by number, with their labels, and what one change does to them, grouped by label pair."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from tortie.selectors.matching import Labels

ItemId = TypeVar("ItemId", bound=Hashable)
Pair = tuple[str, str]  # a label's key and value
Groups = dict[Pair, list[int]]  # the numbers of items that share a pair


class Change:
    """What happened to which items, by number.

    `appeared` and `vanished` are the pairs of items that are `born` or `gone`; `gained` and `lost`
    those of items that stay. `keyless` are the items that stay and lost a key, by that key.
    """

    __slots__ = ("appeared", "born", "gained", "gone", "keyless", "lost", "vanished")

    def __init__(self) -> None:
        self.born: list[int] = []
        self.gone: list[int] = []
        self.appeared: Groups = defaultdict(list)
        self.vanished: Groups = defaultdict(list)
        self.gained: Groups = defaultdict(list)
        self.lost: Groups = defaultdict(list)
        self.keyless: dict[str, list[int]] = defaultdict(list)


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

    def labels(self, number: int) -> Labels | None:
        """The labels of an item; None for one that is gone."""
        return self._labels[number]

    def name(self, number: int) -> ItemId:
        """The item of this number."""
        return self._ids[number]

    def names(self, numbers: Iterable[int]) -> list[ItemId]:
        """The items of these numbers."""
        ids = self._ids
        return [ids[number] for number in numbers]

    def forget(self, gone: list[int]) -> None:
        """Drop the names of items that are gone and free their numbers."""
        for number in gone:
            del self._numbers[self._ids.pop(number)]
        self._free.extend(gone)

    def _create(self, item: ItemId, labels: Labels, change: Change) -> None:
        if self._free:
            number = self._free.pop()
            self._labels[number] = labels
        else:
            number = len(self._labels)
            self._labels.append(labels)
        self._numbers[item] = number
        self._ids[number] = item
        change.born.append(number)
        appeared = change.appeared
        for pair in labels.items():
            appeared[pair].append(number)

    def _alter(self, number: int, labels: Labels | None, change: Change) -> None:
        old = self._labels[number] or {}
        self._labels[number] = labels
        if labels is None:
            change.gone.append(number)
            for pair in old.items():
                change.vanished[pair].append(number)
        elif old != labels:
            for pair in old.items() - labels.items():
                change.lost[pair].append(number)
                if pair[0] not in labels:
                    change.keyless[pair[0]].append(number)
            for pair in labels.items() - old.items():
                change.gained[pair].append(number)
