"""What a tree demands of single labels, whatever else it says.

`app == "web" && has(x)` can only match where `app` is "web" and `x` is there. An index asks the
selectors that demand what an item has, and leaves all others alone.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

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
    complement,
)


class LabelRestriction(NamedTuple):
    """What holds of one label wherever the tree matches.

    `must_have_one_of_values` is sorted, or None for any value; with values `must_be_present` holds
    too.
    """

    must_be_present: bool = False
    must_be_absent: bool = False
    must_have_one_of_values: tuple[str, ...] | None = None


Restrictions = Mapping[str, LabelRestriction]

_PRESENT = LabelRestriction(must_be_present=True)
_ABSENT = LabelRestriction(must_be_absent=True)
_FREE = LabelRestriction()
_FREE_LEAVES = (All, Global, NotEquals, NotIn)  # what needs nothing of any label
_ANYTHING: Restrictions = {}


def restrictions(node: Node) -> Restrictions | None:
    """The restrictions of a tree per label; None for a tree that matches nothing at all.

    They are necessary, never sufficient, and not every tree that matches nothing is found out.
    """
    match node:
        case Equals(key, value):
            return {key: LabelRestriction(True, False, (value,))}
        case In(key, values):
            return {key: LabelRestriction(True, False, values)} if values else None
        case And(operands):
            return _all_hold([restrictions(each) for each in operands])
        case Or(operands):
            return _any_holds([restrictions(each) for each in operands])
        case Not(operand):
            return _of_negation(operand)
        case leaf:
            return _ANYTHING if isinstance(leaf, _FREE_LEAVES) else {leaf.key: _PRESENT}


def _of_negation(operand: Node) -> Restrictions | None:
    meaning = complement(operand)
    if not isinstance(meaning, Not):
        return restrictions(meaning)
    match operand:
        case All() | Global():
            return None
        case Has(key):
            return {key: _ABSENT}
        case _:
            return _ANYTHING


def _all_hold(parts: Iterable[Restrictions | None]) -> Restrictions | None:
    merged: dict[str, LabelRestriction] = {}
    for part in parts:
        if part is None:
            return None
        for key, found in part.items():
            both = _both(merged[key], found) if key in merged else found
            if both is None:
                return None
            merged[key] = both
    return merged


def _any_holds(parts: Iterable[Restrictions | None]) -> Restrictions | None:
    possible = [part for part in parts if part is not None]
    if not possible:
        return None
    merged = dict(possible[0])
    for part in possible[1:]:
        merged = {key: _either(merged[key], part[key]) for key in merged.keys() & part.keys()}
    return {key: found for key, found in merged.items() if found != _FREE}


def _both(one: LabelRestriction, other: LabelRestriction) -> LabelRestriction | None:
    """Both restrictions of one label at once; None where they contradict each other."""
    present = one.must_be_present or other.must_be_present
    absent = one.must_be_absent or other.must_be_absent
    values = one.must_have_one_of_values
    others = other.must_have_one_of_values
    if values is not None and others is not None:
        values = tuple([value for value in values if value in others])
    elif values is None:
        values = others
    if (present and absent) or values == ():
        return None
    return LabelRestriction(present, absent, values)


def _either(one: LabelRestriction, other: LabelRestriction) -> LabelRestriction:
    """What holds where at least one of two restrictions of a label does."""
    values, others = one.must_have_one_of_values, other.must_have_one_of_values
    return LabelRestriction(
        one.must_be_present and other.must_be_present,
        one.must_be_absent and other.must_be_absent,
        None if values is None or others is None else tuple(sorted({*values, *others})),
    )
