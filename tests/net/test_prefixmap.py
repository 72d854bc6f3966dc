"""A prefix map is a dictionary that also knows what lies in what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.net import near_prefixes, prefixes
from tortie.net import Prefix, PrefixMap, parse_network, parse_prefix

_changes = st.lists(st.tuples(st.one_of(near_prefixes(), prefixes()), st.integers() | st.none()))


def filled(changes: list[tuple[Prefix, int | None]]) -> tuple[PrefixMap[int], dict[Prefix, int]]:
    """The map and the dictionary after these changes, where None deletes."""
    found: PrefixMap[int] = PrefixMap()
    expected: dict[Prefix, int] = {}
    for prefix, value in changes:
        if value is not None:
            found[prefix] = expected[prefix] = value
        elif prefix in expected:
            del found[prefix]
            del expected[prefix]
        else:
            with pytest.raises(KeyError):
                del found[prefix]
    return found, expected


@given(_changes)
def test_it_is_a_sorted_dictionary(changes: list[tuple[Prefix, int | None]]) -> None:
    found, expected = filled(changes)
    assert list(found.items()) == sorted(expected.items())
    assert len(found) == len(expected)


@given(_changes, near_prefixes())
def test_it_finds_what_contains_a_prefix_and_what_that_contains(
    changes: list[tuple[Prefix, int | None]], asked: Prefix
) -> None:
    found, expected = filled(changes)
    around = sorted(p for p in expected if p.contains(asked))
    inside = sorted(p for p in expected if asked.contains(p))
    assert [p for p, _ in found.covering(asked)] == around
    assert [p for p, _ in found.within(asked)] == inside
    assert list(found.outermost(asked)) == [
        p for p in inside if not any(q != p and q.contains(p) for q in inside)
    ]
    assert found.longest(asked) == ((around[-1], expected[around[-1]]) if around else None)
    assert found.get(asked) == expected.get(asked)


def test_an_empty_value_is_a_value() -> None:
    found: PrefixMap[None] = PrefixMap()
    found[parse_network("10.0.0.0/8")] = None
    assert found.longest(parse_network("10.1.2.3")) == (parse_network("10.0.0.0/8"), None)


def test_host_bits_are_refused() -> None:
    found: PrefixMap[int] = PrefixMap()
    with pytest.raises(ValueError, match=r"10\.0\.0\.5/24 has host bits"):
        found[parse_prefix("10.0.0.5/24")] = 1
    assert len(found) == 0
