"""Labels as bitmaps of item numbers, and selectors as algebra on them."""

from collections.abc import Iterable, Iterator

from pyroaring import BitMap

from tortie.selectors.items import Change, Groups, OneChange, union
from tortie.selectors.matching import text_test
from tortie.selectors.tree import (
    All,
    And,
    Equals,
    Global,
    Has,
    In,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    TextTest,
    complement,
)

_NONE = BitMap()
_NEGATIVE = (Not, NotEquals, NotIn)


class _Key:
    """One label: who has it, and who has it with which value.

    Many values are of one item only (a pod's name, a hash): there the number stands for itself, at
    a fifth of a bitmap's memory.
    """

    __slots__ = ("_having", "present")

    def __init__(self) -> None:
        self.present = BitMap()
        self._having: dict[str, BitMap | int] = {}

    def having(self, value: str) -> BitMap:
        """Who has this value. It may be our own."""
        return _bitmap(self._having.get(value, _NONE))

    def values(self) -> Iterator[tuple[str, BitMap]]:
        """Each value, and who has it."""
        return ((value, _bitmap(held)) for value, held in self._having.items())

    def gain(self, value: str, numbers: BitMap) -> None:
        """These have the value too; the bitmap may become ours."""
        held = self._having.get(value)
        if held is None:
            self._having[value] = numbers if len(numbers) > 1 else numbers.min()
        elif isinstance(held, int):
            self._having[value] = numbers | BitMap((held,))
        else:
            held |= numbers

    def gain_one(self, value: str, number: int) -> None:
        """This one has the value too."""
        held = self._having.get(value)
        if held is None:
            self._having[value] = number
        elif isinstance(held, int):
            self._having[value] = BitMap((held, number))
        else:
            held.add(number)

    def lose(self, value: str, numbers: BitMap) -> None:
        """These have the value no more; they had it."""
        held = self._having[value]
        if isinstance(held, int):
            del self._having[value]
            return
        held -= numbers
        if not held:
            del self._having[value]

    def lose_one(self, value: str, number: int) -> None:
        """This one has the value no more; it had it."""
        held = self._having[value]
        if isinstance(held, int):
            del self._having[value]
            return
        held.discard(number)
        if not held:
            del self._having[value]


def _bitmap(held: BitMap | int) -> BitMap:
    return BitMap((held,)) if isinstance(held, int) else held


class LabelBitmaps:
    """Which items have which labels. It gives out its own bitmaps: never change one."""

    def __init__(self) -> None:
        self.everything = BitMap()
        self._keys: dict[str, _Key] = {}

    def apply(self, change: Change) -> None:
        """Take in what items gained and lost; the bitmaps of the change may become ours."""
        self.everything.update(change.born)
        self.everything -= BitMap(change.gone)
        self._add(change.appeared)
        self._add(change.gained)
        self._remove_values(change.lost)
        self._remove_values(change.vanished)
        for name, values in change.vanished.items():
            self._remove_key(name, union(values.values()))
        for name, numbers in change.keyless.items():
            self._remove_key(name, BitMap(numbers))

    def apply_one(self, change: OneChange) -> None:
        """The same for a single item, without bitmaps made for it."""
        number = change.number
        if change.old is None:
            self.everything.add(number)
        elif change.new is None:
            self.everything.discard(number)
        for name, value in change.lost:
            self._keys[name].lose_one(value, number)
        for name in change.keyless:
            key = self._keys[name]
            key.present.discard(number)
            if not key.present:
                del self._keys[name]
        for name, value in change.gained:
            self._gain(name, value, number)

    def present(self, name: str) -> BitMap:
        """Who has the label."""
        key = self._keys.get(name)
        return _NONE if key is None else key.present

    def having(self, name: str, value: str) -> BitMap:
        """Who has the label with this value."""
        key = self._keys.get(name)
        return _NONE if key is None else key.having(value)

    def values(self, name: str) -> Iterable[tuple[str, BitMap]]:
        """Who has which value of the label."""
        key = self._keys.get(name)
        return () if key is None else key.values()

    def _add(self, groups: Groups) -> None:
        for name, values in groups.items():
            key = self._keys.get(name)
            if key is None:
                key = self._keys[name] = _Key()
            key.present |= union(values.values())
            for value, numbers in values.items():
                key.gain(value, numbers)

    def _gain(self, name: str, value: str, number: int) -> None:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = _Key()
        key.present.add(number)
        key.gain_one(value, number)

    def _remove_values(self, groups: Groups) -> None:
        for name, values in groups.items():
            key = self._keys[name]
            for value, numbers in values.items():
                key.lose(value, numbers)

    def _remove_key(self, name: str, numbers: BitMap) -> None:
        key = self._keys[name]
        key.present -= numbers
        if not key.present:
            del self._keys[name]


def select(node: Node, labels: LabelBitmaps) -> BitMap:
    """The numbers of the items that a tree matches. May be one of the index's own bitmaps."""
    match node:
        case Equals(key, value):
            return labels.having(key, value)
        case And(operands):
            return _intersection(operands, labels)
        case Or(operands):
            return union([select(each, labels) for each in operands])
        case In(key, values):
            return union([labels.having(key, value) for value in values])
        case Not() | NotEquals() | NotIn():
            return labels.everything - select(complement(node), labels)
        case leaf:
            return _leaf(leaf, labels)


def _leaf(leaf: All | Global | Has | TextTest, labels: LabelBitmaps) -> BitMap:
    match leaf:
        case Has(key):
            return labels.present(key)
        case All() | Global():
            return labels.everything
        case text:
            holds = text_test(text)
            having = [bits for value, bits in labels.values(text.key) if holds(value)]
            return union(having)


def _intersection(operands: tuple[Node, ...], labels: LabelBitmaps) -> BitMap:
    """Begin with an operand that says what to have; the others only narrow that down."""
    start = next((each for each in operands if not isinstance(each, _NEGATIVE)), None)
    found = labels.everything if start is None else select(start, labels)
    for each in operands:
        if each is not start:
            found = _narrow(found, each, labels)
    return found


def _narrow(found: BitMap, node: Node, labels: LabelBitmaps) -> BitMap:
    """The part of `found` that a tree matches, at a cost that goes with `found`."""
    if not found:
        return found
    match node:
        case Equals(key, value):
            return found & labels.having(key, value)
        case In(key, values):
            return union([found & labels.having(key, value) for value in values])
        case Or(operands):
            return union([_narrow(found, each, labels) for each in operands])
        case Not() | NotEquals() | NotIn():
            return found - _narrow(found, complement(node), labels)
        case _:
            return found & select(node, labels)
