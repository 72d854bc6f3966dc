"""JSONPath finds what kubectl's does, and says where it is wrong."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.cli.jsonpath import JsonPathError, parse_path, parse_template

DATA = {
    "items": [
        {"name": "a", "nets": [1, 2, 3], "labels": {"x/y": "1", "a.b": "2"}},
        {"name": "b", "ready": True, "conditions": [{"type": "Ready", "status": "True"}]},
    ]
}  # fmt: skip

FOUND = [
    (".items[*].name", ["a", "b"]),
    ("{.items[*].name}", ["a", "b"]),
    ("items[0].name", ["a"]),
    ("$.items[1].name", ["b"]),
    (".items[-1].name", ["b"]),
    (".items[0].nets[1:]", [2, 3]),
    (".items[0].nets[::2]", [1, 3]),
    (".items[0].nets[0,2]", [1, 3]),
    (".items[0].labels['x/y']", ["1"]),
    ('.items[0].labels["x/y","a.b"]', ["1", "2"]),
    (".items[0].labels.a\\.b", ["2"]),
    (".items[0].labels.*", ["1", "2"]),
    ("..name", ["a", "b"]),
    ('.items[?(@.name=="b")].ready', [True]),
    (".items[?(@.name!='b')].name", ["a"]),
    (".items[?(@.ready)].name", ["b"]),
    (".items[?(@.ready==true)].name", ["b"]),
    (".items[1].conditions[?(@.type=='Ready')].status", ["True"]),
    (".items[0].nets[?(@>=2)]", [2, 3]),
    (".items[?(@.name>5)].name", []),
    (".items[9].name", []),
    (".nothing.deeper", []),
    (".", [DATA]),
]


@pytest.mark.parametrize(("path", "found"), FOUND)
def test_a_path_finds_its_values(path: str, found: list[object]) -> None:
    assert parse_path(path).find(DATA) == found


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (".items[*].name", "a b"),
        ("{.items[*].name}", "a b"),
        ("x{.items[0].nets}y", "x[1, 2, 3]y"),
        ('{range .items[*]}{.name}{"\\t"}{.ready}{"\\n"}{end}', "a\t\nb\ttrue\n"),
        ("{range .items[*]}{range .nets[*]}{@}{','}{end}{end}", "1,2,3,"),
        ("{'{}'}", "{}"),
    ],
)
def test_a_template_prints_its_paths(template: str, text: str) -> None:
    assert parse_template(template).render(DATA) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{.a", "jsonpath:1: the { is never closed"),
        ("{range .a}", "{range} has no {end}"),
        ("x{end}", "jsonpath:2: {end} without {range}"),
        ("{.a[x]}", "[x] is no index, name or filter"),
        ("{.a[?(@.b==c)]}", "c is no number or text in quotes"),
        ("{.a[::0]}", "a slice can't have the step 0"),
    ],
)
def test_a_mistake_is_told_with_its_place(template: str, message: str) -> None:
    with pytest.raises(JsonPathError) as error:
        parse_template(template)
    assert message in str(error.value)


@given(st.text(string.printable, max_size=40))
def test_any_text_is_a_template_or_a_mistake(text: str) -> None:
    for parse in (parse_template, parse_path):
        try:
            parse(f"{{{text}}}")
        except JsonPathError:
            continue
