"""Syntax tree → a function that says whether labels match.

Closures instead of a walk over the tree: one call per node, with nothing to look up but the label.
"""

from collections.abc import Callable, Mapping
from functools import singledispatch

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
    TextTest,
)

Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]


@singledispatch
def matcher(node: Node) -> Matcher:
    """The predicate of a tree. A label that is absent equals nothing and has no text."""
    raise TypeError(f"{node!r} is no part of a selector")


@matcher.register
def _all(node: All | Global) -> Matcher:  # noqa: ARG001 - dispatch needs the parameter
    return lambda labels: True  # noqa: ARG005 - and every predicate takes labels


@matcher.register
def _has(node: Has) -> Matcher:
    key = node.key
    return lambda labels: key in labels


@matcher.register
def _equals(node: Equals) -> Matcher:
    key, value = node.key, node.value
    return lambda labels: labels.get(key) == value


@matcher.register
def _not_equals(node: NotEquals) -> Matcher:
    key, value = node.key, node.value
    return lambda labels: labels.get(key) != value


@matcher.register
def _in(node: In) -> Matcher:
    key, values = node.key, frozenset(node.values)
    return lambda labels: labels.get(key) in values


@matcher.register
def _not_in(node: NotIn) -> Matcher:
    key, values = node.key, frozenset(node.values)
    return lambda labels: labels.get(key) not in values


@matcher.register
def _text(node: Contains | StartsWith | EndsWith) -> Matcher:
    key, test = node.key, text_test(node)

    def matches(labels: Labels) -> bool:
        value = labels.get(key)
        return value is not None and test(value)

    return matches


@matcher.register
def _not(node: Not) -> Matcher:
    operand = matcher(node.operand)
    return lambda labels: not operand(labels)


@matcher.register
def _and(node: And) -> Matcher:
    operands = tuple([matcher(each) for each in node.operands])
    if len(operands) == 2:  # most are: worth a third of the time
        first, second = operands
        return lambda labels: first(labels) and second(labels)

    def matches(labels: Labels) -> bool:
        for operand in operands:  # noqa: SIM110 - all() over a generator takes twice as long
            if not operand(labels):
                return False
        return True

    return matches


@matcher.register
def _or(node: Or) -> Matcher:
    operands = tuple([matcher(each) for each in node.operands])

    def matches(labels: Labels) -> bool:
        for operand in operands:  # noqa: SIM110 - any() over a generator takes twice as long
            if operand(labels):
                return True
        return False

    return matches


def text_test(node: TextTest) -> Callable[[str], bool]:
    """The predicate of a text operator on the label's value."""
    text = node.text
    match node:
        case Contains():
            return lambda value: text in value
        case StartsWith():
            return lambda value: value.startswith(text)
        case EndsWith():
            return lambda value: value.endswith(text)
