"""All items by dense number, with the labels that they have in effect.

Numbers, not keys, go to the indexes: they hash fast and fill bitmaps densely. A number is freed
only once a round is over, so within one round it never means two items.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pyroaring import BitMap

from tortie.api import Key
from tortie.engine.items import Item, effective_labels

Labels = Mapping[str, str]


class Round(NamedTuple):
    """What one batch of updates did to items, by number.

    `labels`: the labels now in effect of those that may have other labels (None: gone). `before`:
    those that are gone or have other networks or ports, as they were.
    """

    labels: dict[int, Labels | None]
    before: dict[int, Item]


class Registry:
    """Numbers, items and inherited labels. `put` and `inherit` collect; `flush` hands over."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self._numbers: dict[Key, int] = {}
        self._free: list[int] = []
        self._inherited: dict[str, Labels] = {}  # profile → labels to apply
        self._heirs: dict[str, BitMap] = {}  # profile → the items that name it
        self._dirty: set[int] = set()
        self._before: dict[int, Item] = {}
        self._gone: dict[int, Key] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, key: Key, item: Item | None) -> int | None:
        """Take in an item, or its end; its number, None for one that never was. Once a round."""
        number = self._numbers.get(key)
        if item is None:
            if number is not None:
                self._remove(number, key)
        elif number is None:
            number = self._create(key, item)
        else:
            self._replace(number, item)
        return number

    def inherit(self, profile: str, labels: Labels) -> None:
        """Items that name this profile have these labels from now on, below their own."""
        if self._inherited.get(profile, {}) == labels:
            return
        if labels:
            self._inherited[profile] = labels
        else:
            del self._inherited[profile]
        self._dirty.update(self._heirs.get(profile, ()))

    def labels(self, number: int) -> Labels:
        """The labels now in effect of an item."""
        return effective_labels(self.items[number], self._inherited)

    def flush(self) -> Round:
        """What changed since the last call; frees the numbers of what is gone."""
        labels: dict[int, Labels | None] = {
            number: self.labels(number) for number in self._dirty if number in self.items
        }
        labels.update(dict.fromkeys(self._gone))
        done = Round(labels, self._before)
        for number, key in self._gone.items():
            del self._numbers[key]
            self._free.append(number)
        self._dirty, self._before, self._gone = set(), {}, {}
        return done

    def _create(self, key: Key, item: Item) -> int:
        number = self._free.pop() if self._free else len(self._numbers)
        self._numbers[key] = number
        self.items[number] = item
        self._dirty.add(number)
        self._join(number, item.profiles)
        return number

    def _replace(self, number: int, item: Item) -> None:
        old = self.items[number]
        self.items[number] = item
        if old.labels != item.labels or old.profiles != item.profiles:
            self._dirty.add(number)
        if old.profiles != item.profiles:
            self._leave(number, old.profiles)
            self._join(number, item.profiles)
        if old.nets != item.nets or old.ports != item.ports:
            self._before[number] = old
            self._dirty.add(number)

    def _remove(self, number: int, key: Key) -> None:
        old = self.items.pop(number)
        self._leave(number, old.profiles)
        self._before[number] = old
        self._gone[number] = key

    def _join(self, number: int, profiles: tuple[str, ...]) -> None:
        for profile in profiles:
            heirs = self._heirs.get(profile)
            if heirs is None:
                heirs = self._heirs[profile] = BitMap()
            heirs.add(number)

    def _leave(self, number: int, profiles: tuple[str, ...]) -> None:
        for profile in dict.fromkeys(profiles):
            self._heirs[profile].discard(number)
            if not self._heirs[profile]:
                del self._heirs[profile]
