"""The syntax tree of a selector, and its canonical text.

`str(node)` is the canonical form of Calico's selector library: parentheses around every `&&` and
`||`, members of a set sorted and single, double quotes unless the text holds one.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct


class All(Struct, frozen=True, gc=False):
    """`all()`: everything."""

    def __str__(self) -> str:
        return "all()"


class Global(Struct, frozen=True, gc=False):
    """`global()`: as a namespace selector, what is in no namespace; by itself it matches all."""

    def __str__(self) -> str:
        return "global()"


class Has(Struct, frozen=True, gc=False):
    """`has(key)`: the label is there, whatever its value."""

    key: str

    def __str__(self) -> str:
        return f"has({self.key})"


class Equals(Struct, frozen=True, gc=False):
    """`key == "value"`."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key} == {quote(self.value)}"


class NotEquals(Struct, frozen=True, gc=False):
    """`key != "value"`: another value, or no such label."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key} != {quote(self.value)}"


class In(Struct, frozen=True, gc=False):
    """`key in {…}`. `values` are sorted and distinct; with none nothing matches."""

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key} in {{{', '.join(map(quote, self.values))}}}"


class NotIn(Struct, frozen=True, gc=False):
    """`key not in {…}`: another value, or no such label."""

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key} not in {{{', '.join(map(quote, self.values))}}}"


class Contains(Struct, frozen=True, gc=False):
    """`key contains "text"`: the value has the text in it."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key} contains {quote(self.text)}"


class StartsWith(Struct, frozen=True, gc=False):
    """`key starts with "text"`."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key} starts with {quote(self.text)}"


class EndsWith(Struct, frozen=True, gc=False):
    """`key ends with "text"`."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key} ends with {quote(self.text)}"


class Not(Struct, frozen=True, gc=False):
    """`!operand`."""

    operand: "Node"

    def __str__(self) -> str:
        return f"!{self.operand}"


class And(Struct, frozen=True, gc=False):
    """`(… && …)`, at least two operands."""

    operands: tuple["Node", ...]

    def __str__(self) -> str:
        return f"({' && '.join(map(str, self.operands))})"


class Or(Struct, frozen=True, gc=False):
    """`(… || …)`, at least two operands."""

    operands: tuple["Node", ...]

    def __str__(self) -> str:
        return f"({' || '.join(map(str, self.operands))})"


TextTest = Contains | StartsWith | EndsWith
Leaf = All | Global | Has | Equals | NotEquals | In | NotIn | TextTest
Node = Leaf | Not | And | Or


def quote(text: str) -> str:
    """The literal of a text. The language has no escapes, so no text holds both quotes."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf of the tree, in no particular order."""
    waiting: list[Node] = [node]
    while waiting:
        match waiting.pop():
            case Not(operand):
                waiting.append(operand)
            case And(operands) | Or(operands):
                waiting.extend(operands)
            case leaf:
                yield leaf


def key_of(leaf: Leaf) -> str | None:
    """The label that a leaf looks at; None for `all()` and `global()`."""
    return None if isinstance(leaf, All | Global) else leaf.key


def map_leaves(node: Node, change: Callable[[Leaf], Leaf]) -> Node:
    """The same tree with every leaf changed."""
    match node:
        case Not(operand):
            return Not(map_leaves(operand, change))
        case And(operands):
            return And(tuple([map_leaves(each, change) for each in operands]))
        case Or(operands):
            return Or(tuple([map_leaves(each, change) for each in operands]))
        case leaf:
            return change(leaf)


def complement(node: Node) -> Node:
    """A tree that matches what `node` does not, with the negation one level further in."""
    match node:
        case Not(operand):
            return operand
        case NotEquals(key, value):
            return Equals(key, value)
        case NotIn(key, values):
            return In(key, values)
        case And(operands):
            return Or(tuple([Not(each) for each in operands]))
        case Or(operands):
            return And(tuple([Not(each) for each in operands]))
        case _:
            return Not(node)
