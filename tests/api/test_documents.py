"""YAML text as data: Kubernetes' reading of scalars, lines, and the bounds that are held."""

import json

import pytest

from tortie.api.documents import MAX_ALIASED, MAX_DEPTH, Document, YamlError, read_documents


def data_of(text):
    (document,) = read_documents(text)
    assert isinstance(document, Document), document
    return document.data


def error_of(text):
    (error,) = read_documents(text)
    assert isinstance(error, YamlError), error
    return error


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("-0x1F", -31),
        ("0b101", 5),
        ("010", 8),
        ("0o17", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("null", None),
        ("12:30:45", "12:30:45"),
        ("80:59", "80:59"),
        ("2026-01-31", "2026-01-31"),
        ("'80'", "80"),
        ("!!str 80", "80"),
        ("!!int '80'", 80),
        ("99999999999999999999", 1e20),
        ("=", "="),
    ],
)
def test_a_scalar_is_read_as_kubernetes_reads_it(text, value):
    found = data_of(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_every_key_and_item_knows_its_line():
    data = data_of("# a comment\na:\n  b: 1\n  c:\n  - x\n  - y: 2\n")
    assert data.lines == {"a": 2}
    assert data["a"].lines == {"b": 3, "c": 4}
    assert data["a"]["c"].lines == [5, 6]


def test_documents_without_content_are_left_out_and_lines_go_on():
    documents = list(read_documents("# only this\n---\n---\na: 1\n--- {b: 2}\n...\n---\n"))
    assert [(each.line, each.data) for each in documents] == [(4, {"a": 1}), (5, {"b": 2})]


def test_a_broken_document_does_not_hide_the_ones_after_it():
    first, second = read_documents("a: [1\n---\nb: 2\n")
    assert isinstance(first, YamlError)
    assert second == (3, {"b": 2})


def test_anchors_aliases_and_merges_are_written_out():
    text = "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nlist: [*b]\n"
    assert data_of(text)["use"] == {"x": 1, "y": 3}
    assert data_of(text)["list"] == [{"x": 1, "y": 2}]


def test_json_is_yaml():
    assert data_of('{"a": [1, true, null, "x\\u00e9\\/"],\n\t"b": {}}') == {
        "a": [1, True, None, "xé/"],
        "b": {},
    }


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is there twice, first on line 1"),
        ("a:\n\tb: 1\n", 2, "broken YAML"),
        ("a: [1, 2\nb: 3", 2, "broken YAML"),
        ("a: *nothing", 1, "the alias *nothing stands for nothing"),
        ("a: &x [*x]", 1, "the alias *x stands for nothing"),
        ("a: !!python/object x", 1, "is not supported"),
        ("? [a]\n: b", 1, "a key must be text"),
        ("a: \x00", 1, "broken YAML"),
        ("a: \ud800", 1, "a lone surrogate"),
        ("a: {<<: [1]}", 1, "<< merges objects only"),
        ("[" * (MAX_DEPTH + 1), 1, "nested deeper"),
        ("[" * 100_000, 1, "nested deeper"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text, line, message):
    error = error_of(text)
    assert message in error.message
    assert error.line == line


def test_tabs_get_a_hint():
    assert error_of("a:\n\tb: 1\n").suggestion == "indent with spaces, not tabs"


def test_aliases_can_not_blow_up_a_small_file():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        before = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{before}]")
    assert "with aliases written out" in error_of("\n".join(lines)).message


def test_the_aliases_of_all_documents_count_together():
    one = "a: &a [x, x, x, x, x, x, x, x, x]\nb: [" + "*a, " * 1000 + "]\n"
    found = list(read_documents("\n---\n".join([one] * (MAX_ALIASED // 10_000 + 1))))
    assert "with aliases written out" in found[-1].message
    assert all(isinstance(document, Document) for document in found[:-1])


def test_long_text_without_aliases_is_no_blow_up():
    (document,) = read_documents("[" + "1," * (MAX_ALIASED + 2) + "]")
    assert len(document.data) == MAX_ALIASED + 2


@pytest.mark.parametrize(
    "text", ["\U0001f600", "a\U0010ffff\u20acb", "\\ud83d\\ude00", "\\\U0001f600"]
)
def test_json_may_escape_any_character(text):
    escaped = json.dumps({"a": [text], text: 1}, ensure_ascii=True)
    (document,) = read_documents(f"---\n {escaped}\n")
    assert document.data == {"a": [text], text: 1}


def test_half_a_pair_of_escapes_is_no_text():
    assert "Unicode" in error_of('{"a": "\\ud83d"}').message


@pytest.mark.parametrize("key", ['"<<"', "'<<'"])
def test_a_merge_key_in_quotes_is_a_name(key):
    assert data_of(f"{{{key}: {{a: 1}}}}") == {"<<": {"a": 1}}
    assert data_of("{<<: {a: 1}}") == {"a": 1}
