"""Labels as bitmaps of item numbers, and selectors as algebra on them."""

from collections.abc import Mapping
from functools import singledispatch

from pyroaring import BitMap

from tortie.selectors.items import Change, Groups
from tortie.selectors.matching import text_test
from tortie.selectors.tree import (
    All,
    And,
    Contains,
    EndsWith,
    Equals,
    Global,
    Has,
    In,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    StartsWith,
    complement,
)

_NONE = BitMap()


class _Key:
    """One label: who has it, and who has it with which value."""

    __slots__ = ("present", "values")

    def __init__(self) -> None:
        self.present = BitMap()
        self.values: dict[str, BitMap] = {}


class LabelBitmaps:
    """Which items have which labels. It gives out its own bitmaps: never change one."""

    def __init__(self) -> None:
        self.everything = BitMap()
        self._keys: dict[str, _Key] = {}

    def apply(self, change: Change) -> None:
        """Take in what items gained and lost."""
        self.everything.update(change.born)
        self.everything.difference_update(BitMap(change.gone))
        self._add(change.appeared)
        self._add(change.gained)
        self._remove_values(change.lost)
        self._remove_values(change.vanished)
        for (name, _), numbers in change.vanished.items():
            self._remove_key(name, numbers)
        for name, numbers in change.keyless.items():
            self._remove_key(name, numbers)

    def present(self, name: str) -> BitMap:
        """Who has the label."""
        key = self._keys.get(name)
        return _NONE if key is None else key.present

    def having(self, name: str, value: str) -> BitMap:
        """Who has the label with this value."""
        key = self._keys.get(name)
        return _NONE if key is None else key.values.get(value, _NONE)

    def values(self, name: str) -> Mapping[str, BitMap]:
        """Who has which value of the label."""
        key = self._keys.get(name)
        return {} if key is None else key.values

    def _add(self, groups: Groups) -> None:
        for (name, value), numbers in groups.items():
            key = self._keys.get(name)
            if key is None:
                key = self._keys[name] = _Key()
            key.present.update(numbers)
            having = key.values.get(value)
            if having is None:
                key.values[value] = BitMap(numbers)
            else:
                having.update(numbers)

    def _remove_values(self, groups: Groups) -> None:
        for (name, value), numbers in groups.items():
            values = self._keys[name].values
            values[value].difference_update(BitMap(numbers))
            if not values[value]:
                del values[value]

    def _remove_key(self, name: str, numbers: list[int]) -> None:
        key = self._keys[name]
        key.present.difference_update(BitMap(numbers))
        if not key.present:
            del self._keys[name]


@singledispatch
def select(node: Node, labels: LabelBitmaps) -> BitMap:  # noqa: ARG001 - dispatch
    """The numbers of the items that a tree matches. May be one of the index's own bitmaps."""
    raise TypeError(f"{node!r} is no part of a selector")


@select.register
def _all(node: All | Global, labels: LabelBitmaps) -> BitMap:  # noqa: ARG001 - dispatch
    return labels.everything


@select.register
def _has(node: Has, labels: LabelBitmaps) -> BitMap:
    return labels.present(node.key)


@select.register
def _equals(node: Equals, labels: LabelBitmaps) -> BitMap:
    return labels.having(node.key, node.value)


@select.register
def _in(node: In, labels: LabelBitmaps) -> BitMap:
    return BitMap.union(_NONE, *[labels.having(node.key, value) for value in node.values])


@select.register
def _text(node: Contains | StartsWith | EndsWith, labels: LabelBitmaps) -> BitMap:
    holds = text_test(node)
    having = [bits for value, bits in labels.values(node.key).items() if holds(value)]
    return BitMap.union(_NONE, *having)


@select.register
def _negative(node: Not | NotEquals | NotIn, labels: LabelBitmaps) -> BitMap:
    return labels.everything - select(complement(node), labels)


@select.register
def _or(node: Or, labels: LabelBitmaps) -> BitMap:
    return BitMap.union(*[select(each, labels) for each in node.operands])


@select.register
def _and(node: And, labels: LabelBitmaps) -> BitMap:
    """Positive operands first: what they leave is small, and a negative one only subtracts."""
    negative = [each for each in node.operands if isinstance(each, Not | NotEquals | NotIn)]
    found: BitMap | None = None
    for each in node.operands:
        if not isinstance(each, Not | NotEquals | NotIn):
            bits = select(each, labels)
            found = bits if found is None else found & bits
            if not found:
                return _NONE
    if found is None:
        found = labels.everything
    for each in negative:
        found = found - select(complement(each), labels)
    return found
