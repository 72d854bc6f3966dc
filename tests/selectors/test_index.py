"""The index knows the members of every selector, and says each change once."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.selectors import labels, selectors
from tortie.selectors import Selector, parse
from tortie.selectors.index import MatchChange, SelectorIndex

Index = SelectorIndex[str, str]
Labels = dict[str, str]

_items = st.sampled_from(["item-0", "item-1", "item-2"])
_crowd = st.dictionaries(st.integers(0, 60).map("item-{}".format), labels | st.none(), max_size=60)
_few = st.dictionaries(_items, labels | st.none(), min_size=1, max_size=3)
_tracking = st.tuples(st.sampled_from("abcd"), selectors | st.none())
_steps = st.one_of(_few, _few, _crowd, _tracking)  # few twice: most changes are small
_begin = st.tuples(*(st.tuples(st.just(name), selectors) for name in "abcd"))


class Model:
    """What the index should know, by asking every selector about every item."""

    def __init__(self) -> None:
        self.items: dict[str, Labels] = {}
        self.selectors: dict[str, Selector] = {}

    def apply(self, items: dict[str, Labels | None]) -> None:
        self.items.update({item: found for item, found in items.items() if found is not None})
        for item in [item for item, found in items.items() if found is None]:
            self.items.pop(item, None)

    def members(self, selector_id: str) -> set[str]:
        matches = self.selectors[selector_id].matches
        return {item for item, found in self.items.items() if matches(found)}


# The thresholds between the ways of finding and asking selectors, low enough for a small world to
# go all of them.
_thresholds = st.sampled_from([(64, 16), (0, 16), (0, 0), (64, 0)])


@settings(max_examples=400, deadline=None)
@given(_begin, st.lists(_steps, max_size=12), _thresholds)
def test_members_and_changes_agree_with_asking_everyone(
    begin: tuple[tuple[str, Selector], ...],
    steps: list[dict[str, Labels | None] | tuple[str, Selector | None]],
    thresholds: tuple[int, int],
) -> None:
    crowd, few = thresholds
    with (
        patch("tortie.selectors.audience._CROWD", crowd),
        patch("tortie.selectors.index._FEW", few),
    ):
        _compare_with_the_model([*begin, *steps])


def _compare_with_the_model(
    steps: list[dict[str, Labels | None] | tuple[str, Selector | None]],
) -> None:
    index: Index = SelectorIndex()
    model = Model()
    told: dict[str, set[str]] = {}
    for step in steps:
        match step:
            case (selector_id, None):
                index.remove(selector_id)
                model.selectors.pop(selector_id, None)
                told.pop(selector_id, None)
            case (selector_id, Selector() as selector):
                model.selectors[selector_id] = selector
                told[selector_id] = set(index.add(selector_id, selector))
            case dict(items):
                model.apply(items)
                _fold(told, index.apply(items))
        for selector_id in model.selectors:
            expected = model.members(selector_id)
            assert sorted(index.members(selector_id)) == sorted(expected)
            assert told[selector_id] == expected


def _fold(told: dict[str, set[str]], changes: list[MatchChange[str, str]]) -> None:
    assert len({change[:2] for change in changes}) == len(changes)
    for selector_id, item, matched in changes:
        assert matched is (item not in told[selector_id]), "a change that changes nothing"
        (told[selector_id].add if matched else told[selector_id].remove)(item)


@pytest.fixture
def index() -> Index:
    index: Index = SelectorIndex()
    index.apply({"web": {"app": "web"}, "db": {"app": "db", "old": ""}, "bare": {}})
    return index


def test_a_selector_begins_with_what_matches_now(index: Index) -> None:
    assert index.add("s", parse("app == 'web'")) == ["web"]
    assert index.add("t", parse("!has(old)")) == ["web", "bare"]


def test_adding_a_selector_again_tells_its_members_again(index: Index) -> None:
    assert index.add("s", parse("has(app)")) == index.add("s", parse("has(app)")) == ["web", "db"]
    index.remove("s")
    assert index.apply({"web": {}}) == []


def test_an_id_can_get_another_selector(index: Index) -> None:
    index.add("s", parse("app == 'web'"))
    assert index.add("s", parse("app == 'db'")) == ["db"]
    assert index.apply({"web": {}, "db": {}}) == [MatchChange("s", "db", False)]


def test_a_removed_item_leaves_every_selector(index: Index) -> None:
    index.add("all", parse("all()"))
    index.add("web", parse("app == 'web'"))
    index.add("not-db", parse("app != 'db'"))
    changes = index.apply({"web": None})
    assert set(changes) == {(name, "web", False) for name in ("all", "web", "not-db")}
    assert index.members("web") == []


def test_removing_an_unknown_item_or_selector_is_nothing(index: Index) -> None:
    assert index.apply({"never": None}) == []
    index.remove("never")


def test_one_removed_and_one_created_in_one_step_are_told_apart(index: Index) -> None:
    index.add("s", parse("app == 'web'"))
    changes = index.apply({"web": None, "web-2": {"app": "web"}})
    assert set(changes) == {("s", "web", False), ("s", "web-2", True)}
    assert index.apply({"web-3": {"app": "web"}}) == [MatchChange("s", "web-3", True)]


def test_labels_that_stay_as_they_are_are_no_change(index: Index) -> None:
    index.add("s", parse("has(app)"))
    assert index.apply({"web": {"app": "web"}, "db": {"app": "db"}}) == []


def test_members_of_an_untracked_selector_is_an_error(index: Index) -> None:
    with pytest.raises(KeyError):
        index.members("s")


def test_a_label_that_a_thousand_items_gain_is_told_for_each() -> None:
    index: Index = SelectorIndex()
    index.apply({f"pod-{n}": {"app": "web"} for n in range(1000)})
    index.add("s", parse("app == 'web' && team == 'a'"))
    changes = index.apply({f"pod-{n}": {"app": "web", "team": "a"} for n in range(1000)})
    assert len(changes) == len({change.item for change in changes}) == 1000
    assert len(index.apply({f"pod-{n}": {"app": "web"} for n in range(1000)})) == 1000


def _asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The selectors asked about single items from now on."""
    asked: list[str] = []
    matches = Selector.matches

    def counting(self: Selector, labels: Labels) -> bool:
        asked.append(self.canonical)
        return matches(self, labels)

    monkeypatch.setattr(Selector, "matches", counting)
    return asked


def test_a_change_asks_only_the_selectors_that_mention_it(monkeypatch: pytest.MonkeyPatch) -> None:
    index: Index = SelectorIndex()
    for n in range(100):
        index.add(f"s-{n}", parse(f"orchestrator == 'k8s' && app == 'app-{n}'"))
    index.apply({f"pod-{n}": {"orchestrator": "k8s", "app": f"app-{n}"} for n in range(50)})
    asked = _asked(monkeypatch)
    index.apply({"pod-1": {"orchestrator": "k8s", "app": "app-2", "other": "x"}})
    assert len(asked) == 2  # the one for app-1 and the one for app-2
    asked.clear()
    index.apply({"new": {"orchestrator": "k8s", "app": "app-7"}})
    assert (
        len(asked) <= 2
    )  # one more at most, which took the demand that all share when it was rare


def test_a_label_with_hundreds_of_values_is_indexed_as_one_with_few() -> None:
    index: Index = SelectorIndex()
    pods = {f"pod-{n}": {"name": f"n-{n}"} for n in range(300)}
    listed = ", ".join(f"'n-{n}'" for n in range(0, 300, 3))
    texts = ["name contains '7'", f"name in {{{listed}}}", f"!(name in {{{listed}}})", "has(name)"]
    for text in texts:
        index.add(f"before: {text}", parse(text))
    index.apply(pods)
    for text in texts:
        expected = [pod for pod, found in pods.items() if parse(text).matches(found)]
        assert index.add(text, parse(text)) == index.members(f"before: {text}") == expected
    changes = index.apply(dict.fromkeys(pods))
    assert not any(change.matched for change in changes)
    assert not any(index.members(text) for text in texts)


def test_a_label_that_all_selectors_mention_asks_only_those_whose_demand_is_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index: Index = SelectorIndex()
    for n in range(200):
        index.add(f"s-{n}", parse(f"env == 'prod' && app == 'app-{n}'"))
    index.apply({f"pod-{n}": {"env": "dev", "app": f"app-{n}"} for n in range(50)})
    asked = _asked(monkeypatch)
    assert index.apply({"pod-7": {"env": "prod", "app": "app-7"}}) == [("s-7", "pod-7", True)]
    assert len(asked) <= 2
