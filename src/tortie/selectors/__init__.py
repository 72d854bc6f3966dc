"""The selector language: which labelled things a policy or pool speaks of.

What comes in: selector text and label sets. What goes out: a parsed selector that says whether
labels match, its canonical text and hash id, and (`tortie.selectors.index`, apart because of the
bitmaps it loads) an index that keeps the members of many selectors up to date as labels change.
It never knows what carries the labels.
"""

from tortie.selectors.errors import SelectorError
from tortie.selectors.restrictions import LabelRestriction, Restrictions
from tortie.selectors.selector import ALL, GLOBAL, Selector, all_of, parse

__all__ = [
    "ALL",
    "GLOBAL",
    "LabelRestriction",
    "Restrictions",
    "Selector",
    "SelectorError",
    "all_of",
    "parse",
]
