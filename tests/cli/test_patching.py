"""Patches do what RFC 7386 and RFC 6902 say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.cli.errors import UserError
from tortie.cli.patching import json_patched, merge_patched

JSON = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)

# The examples of RFC 7386, appendix A.
MERGED: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), MERGED)
def test_a_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merge_patched(target, patch) == result


OPERATED: list[tuple[Any, list[dict[str, Any]], Any]] = [
    ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
    ({"a": 1, "b": 2}, [{"op": "remove", "path": "/b"}], {"a": 1}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
    ({"a": 1}, [{"op": "replace", "path": "/a", "value": 2}], {"a": 2}),
    ({"a": [1, 2]}, [{"op": "replace", "path": "/a/1", "value": 5}], {"a": [1, 5]}),
    ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a/b", "path": "/c"}], {"a": {"b": 1}, "c": 1}),
    ({"a/b": 1, "c": 2}, [{"op": "remove", "path": "/a~1b"}], {"c": 2}),
    ({"m~n": 1, "c": 2}, [{"op": "remove", "path": "/m~0n"}], {"c": 2}),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("target", "operations", "result"), OPERATED)
def test_a_json_patch(target: Any, operations: Any, result: Any) -> None:
    before = str(target)
    assert json_patched(target, operations) == result
    assert str(target) == before


IMPOSSIBLE: list[tuple[Any, str]] = [
    ({"op": "add"}, "a patch of type json is a list"),
    ([{"op": "ad", "path": "/a"}], "operation 0 of the patch: op must be one of add"),
    ([{"op": "add", "path": "/a"}], "add needs 'value'"),
    ([{"op": "remove", "path": "/x"}], "there is no /x"),
    ([{"op": "remove", "path": "x"}], "a path begins with /, found 'x'"),
    ([{"op": "test", "path": "/a", "value": 2}], "test failed: /a is 1"),
    ([{"op": "test", "path": "/a", "value": True}], "test failed"),
    ([{"op": "add", "path": "/l/7", "value": 2}], "nothing can be put at /l/7"),
    ([{"op": "add", "path": "/l/01", "value": 2}], "nothing can be put at /l/01"),
    ([{"op": "move", "from": "/l", "path": "/l/0"}], "nothing can be moved into itself"),
    ([{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/x"}], "operation 1"),
]


@pytest.mark.parametrize(("operations", "message"), IMPOSSIBLE)
def test_what_can_not_be_done_is_told(operations: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        json_patched({"a": 1, "l": [1]}, operations)
    assert message in str(error.value)


@given(OBJECTS, OBJECTS)
def test_merging_once_is_merging_twice(target: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patched(target, patch)
    assert merge_patched(once, patch) == once
    assert merge_patched(target, {}) == target


@given(OBJECTS, st.text(max_size=3), JSON)
def test_what_was_added_can_be_removed(target: dict[str, Any], name: str, value: Any) -> None:
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    added = json_patched(target, [{"op": "add", "path": path, "value": value}])
    assert added == {**target, name: value}
    left = json_patched(added, [{"op": "remove", "path": path}])
    assert left == {key: item for key, item in target.items() if key != name}
