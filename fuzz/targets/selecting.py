"""Selectors: text to tree, predicate, canonical form and index."""

from collections.abc import Mapping

from fuzz.targets import Target, as_text
from tortie.selectors import Selector, SelectorError, parse
from tortie.selectors.index import SelectorIndex
from tortie.selectors.tree import In, NotIn, key_of, leaves

_MOST_LEAVES = 8


def check(data: bytes) -> None:
    """A selector that keeps its promises, or a SelectorError that shows the place."""
    text = as_text(data)
    parse.cache_clear()  # or long inputs would add up
    try:
        selector = parse(text)
    except SelectorError as error:
        _error(error, text)
        return
    _canonical(selector)
    _members(selector, _labels(selector))


def _error(error: SelectorError, text: str) -> None:
    assert 0 <= error.position <= len(text)
    assert error.expected
    assert "\n" not in error.reason
    _, line, caret = str(error).split("\n")
    assert caret.endswith("^")
    assert len(caret) <= len(line) + 1
    assert line.isprintable()


def _canonical(selector: Selector) -> None:
    again = parse(selector.canonical)
    assert again == selector
    assert again.canonical == selector.canonical
    assert again.uid == selector.uid
    assert again.keys == selector.keys


def _labels(selector: Selector) -> list[dict[str, str]]:
    """Labels that are near to what the selector asks for: none, each value, all of them."""
    near: list[dict[str, str]] = [{}]
    for leaf in list(leaves(selector.tree))[:_MOST_LEAVES]:
        key = key_of(leaf)
        if key is not None:
            near += [{key: value} for value in ("", "z", *_values(leaf))]
    together = {key: value for labels in near for key, value in labels.items()}
    return [*near, together, {**together, "other": "x"}]


def _values(leaf: object) -> tuple[str, ...]:
    if isinstance(leaf, In | NotIn):
        return leaf.values[:3]
    text = str(getattr(leaf, "value", "") or getattr(leaf, "text", ""))
    return (text, f"{text}z", f"z{text}")


def _members(selector: Selector, items: list[dict[str, str]]) -> None:
    opposite = parse(f"!({selector.canonical})") if selector.canonical.count("(") < 50 else None
    prefixed = selector.with_prefix("pcns.")
    for labels in items:
        found = selector.matches(labels)
        assert isinstance(found, bool)
        assert found is not (opposite.matches(labels) if opposite else not found)
        assert prefixed.matches(_with_prefix(labels)) is found
    index: SelectorIndex[str, int] = SelectorIndex()
    index.apply(dict(enumerate(items)))
    assert set(index.add("s", selector)) == {
        number for number, labels in enumerate(items) if selector.matches(labels)
    }


def _with_prefix(labels: Mapping[str, str]) -> dict[str, str]:
    return {f"pcns.{key}": value for key, value in labels.items()}


TARGET = Target(
    check,
    lambda: [
        b"",
        b"all()",
        b"a == 'b' && (c != \"d\" || !has(e.f/g)) && global()",
        b"a in {'x', 'y',} || b not in {} || c contains 'x'",
        b"!!(a starts with 'x' && b endswith \"y\")",
        b"(" * 30 + b"has(a)" + b")" * 30,
        b"in in {'in'} && not notin {'not'} && has == 'has'",
    ],
    lambda: [
        *("&&", "||", "==", "!=", "!", "has(", "all()", "global()", "in {", "not in {", "}"),
        *("contains", "starts with", "ends with", "notin", "startswith", '"', "'", "((((", "))))"),
        *("projectcalico.org/name", "\t", "\u00a0", "\x00", "a" * 512),
    ],
    size=2048,
)
