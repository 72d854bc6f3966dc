"""Text → syntax tree, by one loop with its own stack: nesting can't overflow Python's."""

from re import Match

from tortie.selectors.diagnosis import connective_error, nesting_error, operand_error
from tortie.selectors.grammar import CONNECTIVE, OPERAND, STRINGS
from tortie.selectors.tree import (
    All,
    And,
    Contains,
    EndsWith,
    Equals,
    Global,
    Has,
    In,
    Leaf,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    StartsWith,
)

MAX_NESTING = 64  # open parentheses; what walks a tree recurses, and must stay within the stack


def parse_tree(text: str) -> Node:
    """The tree of a selector's text. Raises SelectorError for text outside the grammar."""
    if not text.strip(" \t"):
        return All()
    groups = [_Group()]
    position = 0
    while position <= len(text):
        position = _operand(text, position, groups)
        position = _connectives(text, position, groups)
    return groups[0].node()


class _Group:
    """What was read so far between a pair of parentheses (or of the whole text)."""

    __slots__ = ("alternatives", "conjuncts", "negated")

    def __init__(self) -> None:
        self.alternatives: list[Node] = []
        self.conjuncts: list[Node] = []
        self.negated = False  # whether the next operand is

    def add(self, node: Node) -> None:
        if self.negated:  # a double negation is none, so that canonical text is stable
            node = node.operand if isinstance(node, Not) else Not(node)
        self.conjuncts.append(node)
        self.negated = False

    def next_alternative(self) -> None:
        found = self.conjuncts
        self.alternatives.append(found[0] if len(found) == 1 else And(tuple(found)))
        self.conjuncts = []

    def node(self) -> Node:
        self.next_alternative()
        found = self.alternatives
        return found[0] if len(found) == 1 else Or(tuple(found))


def _operand(text: str, position: int, groups: list[_Group]) -> int:
    """Read `!`s, opening parentheses and one leaf; the offset behind them."""
    while True:
        found = OPERAND.match(text, position)
        if found is None:
            raise operand_error(text, position)
        position = found.end()
        match found.lastgroup:
            case "not":
                groups[-1].negated = not groups[-1].negated
            case "open":
                if len(groups) > MAX_NESTING:
                    raise nesting_error(text, position - 1, MAX_NESTING)
                groups.append(_Group())
            case _:
                groups[-1].add(_leaf(found))
                return position


def _connectives(text: str, position: int, groups: list[_Group]) -> int:
    """Read closing parentheses and one `&&` or `||`; len(text) + 1 at the text's end."""
    while True:
        found = CONNECTIVE.match(text, position)
        inside = len(groups) > 1
        if found is None:
            raise connective_error(text, position, inside)
        match found.lastgroup:
            case "and":
                return found.end()
            case "or":
                groups[-1].next_alternative()
                return found.end()
            case "close" if inside:
                node = groups.pop().node()
                groups[-1].add(node)
                position = found.end()
            case "end" if not inside:
                return len(text) + 1
            case _:
                raise connective_error(text, position, inside)


def _leaf(found: Match[str]) -> Leaf:
    word = found["word"]
    if word:
        return All() if word == "all" else Global()
    if found["has"]:
        return Has(found["has"])
    if found["setop"]:
        return _SETS[found["setop"][0]](found["key"], _values(found["values"]))
    return _TEXTS[found["op"][0]](found["key"], found["text"][1:-1])


def _values(text: str) -> tuple[str, ...]:
    return tuple(sorted({double or single for double, single in STRINGS.findall(text)}))


# An operator's first letter says which it is, however its words are spaced.
_SETS: dict[str, type[In] | type[NotIn]] = {"i": In, "n": NotIn}
_TEXTS: dict[
    str,
    type[Equals] | type[NotEquals] | type[Contains] | type[StartsWith] | type[EndsWith],
] = {"=": Equals, "!": NotEquals, "c": Contains, "s": StartsWith, "e": EndsWith}
