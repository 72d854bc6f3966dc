"""What a selector demands of single labels holds wherever it matches."""

import pytest
from hypothesis import given, settings

from strategies.selectors import labels, selectors
from tortie.selectors import LabelRestriction, Selector, parse

PRESENT = LabelRestriction(must_be_present=True)
ABSENT = LabelRestriction(must_be_absent=True)


def one_of(*values: str) -> LabelRestriction:
    """The label has one of these values."""
    return LabelRestriction(must_be_present=True, must_have_one_of_values=values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all()", {}),
        ("global()", {}),
        ("has(a)", {"a": PRESENT}),
        ("!has(a)", {"a": ABSENT}),
        ("a == 'x'", {"a": one_of("x")}),
        ("a != 'x'", {}),
        ("!(a != 'x')", {"a": one_of("x")}),
        ("!(a == 'x')", {}),
        ("a in {'y', 'x'}", {"a": one_of("x", "y")}),
        ("!(a not in {'y', 'x'})", {"a": one_of("x", "y")}),
        ("a contains 'x'", {"a": PRESENT}),
        ("a starts with 'x'", {"a": PRESENT}),
        ("a ends with 'x'", {"a": PRESENT}),
        ("!(a contains 'x')", {}),
        ("has(a) && a == 'x' && !has(b)", {"a": one_of("x"), "b": ABSENT}),
        ("a in {'x', 'y'} && a in {'y', 'z'}", {"a": one_of("y")}),
        ("a == 'x' || a == 'y'", {"a": one_of("x", "y")}),
        ("a == 'x' || has(a)", {"a": PRESENT}),
        ("a == 'x' || has(b)", {}),
        ("a == 'x' && b == 'y' || a == 'z'", {"a": one_of("x", "z")}),
        ("a == 'x' || a in {}", {"a": one_of("x")}),
        ("!(has(a) || has(b))", {"a": ABSENT, "b": ABSENT}),
        ("!(!has(a) && has(b))", {}),
        ("!(!has(a) || b != 'x')", {"a": PRESENT, "b": one_of("x")}),
        ("has(a) || !has(a)", {}),
        ("a in {}", None),
        ("!all()", None),
        ("a == 'x' && a == 'y'", None),
        ("has(a) && !has(a)", None),
        ("a in {} || !global()", None),
    ],
)
def test_the_restrictions_of(text: str, expected: dict[str, LabelRestriction] | None) -> None:
    assert parse(text).restrictions == expected


@settings(max_examples=300)
@given(selectors, labels)
def test_labels_that_match_meet_every_restriction(
    selector: Selector, found: dict[str, str]
) -> None:
    if not selector.matches(found):
        return
    assert selector.restrictions is not None
    for key, demand in selector.restrictions.items():
        assert not (demand.must_be_present and key not in found)
        assert not (demand.must_be_absent and key in found)
        if demand.must_have_one_of_values is not None:
            assert found[key] in demand.must_have_one_of_values
            assert demand.must_be_present
