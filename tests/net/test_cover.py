"""The cover of a multiset of prefixes is disjoint, minimal, and changes by what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.net import near_prefixes
from tortie.net import CoverChange, MaximalPrefixes, Prefix, parse_network

A, B, C = (parse_network(text) for text in ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"))


@given(st.lists(st.tuples(near_prefixes(), st.sampled_from(["add", "add", "remove"]))))
def test_the_cover_is_what_no_other_contains(steps: list[tuple[Prefix, str]]) -> None:
    cover, held, told = MaximalPrefixes(), list[Prefix](), set[Prefix]()
    for prefix, step in steps:
        if step == "remove":
            if prefix not in held:
                continue
            held.remove(prefix)
            change = cover.remove(prefix)
        else:
            held.append(prefix)
            change = cover.add(prefix)
        assert told.issuperset(change.removed)
        assert told.isdisjoint(change.added)
        told = (told - set(change.removed)) | set(change.added)
        expected = {p for p in held if not any(q != p and q.contains(p) for q in held)}
        assert told == expected
        assert cover.cover == sorted(expected)


def test_a_wider_prefix_takes_the_place_of_those_within() -> None:
    cover = MaximalPrefixes()
    assert cover.add(B) == CoverChange([B], [])
    assert cover.add(C) == CoverChange()
    assert cover.add(A) == CoverChange([A], [B])
    assert cover.remove(A) == CoverChange([B], [A])
    assert cover.remove(B) == CoverChange([C], [B])


def test_a_prefix_counted_twice_stays_until_taken_away_twice() -> None:
    cover = MaximalPrefixes()
    assert (cover.add(A), cover.add(A)) == (CoverChange([A], []), CoverChange())
    assert (cover.remove(A), cover.cover) == (CoverChange(), [A])
    assert (cover.remove(A), cover.cover) == (CoverChange([], [A]), [])


def test_taking_away_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        MaximalPrefixes().remove(A)


def test_families_do_not_cover_each_other() -> None:
    cover = MaximalPrefixes()
    everything = [parse_network("0.0.0.0/0"), parse_network("::/0")]
    for prefix in [*everything, A, parse_network("fd00::/8")]:
        cover.add(prefix)
    assert cover.cover == everything
