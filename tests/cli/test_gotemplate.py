"""Templates print what Go's would, and say where they are wrong."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.cli.gotemplate import TemplateError, Whole, parse

DATA = {
    "kind": "List",
    "items": [
        {
            "metadata": {"name": "a", "labels": {"x": "1"}},
            "spec": {"order": 10, "nets": ["n", "m"]},
        },
        {"metadata": {"name": "b"}, "spec": {"order": 2.5, "natOutgoing": True, "asNumber": 0}},
    ],
}

RENDERED = [
    ("text only", "text only"),
    ("{{.kind}}", "List"),
    ("{{ .nothing }}", "<no value>"),
    ("{{.nothing.deeper}}", "<no value>"),
    ("{{range .items}}{{.metadata.name}} {{end}}", "a b "),
    ("{{range $i, $e := .items}}{{$i}}={{$e.metadata.name}};{{end}}", "0=a;1=b;"),
    ("{{range $e := .items}}{{$e.metadata.name}}{{$.kind}} {{end}}", "aList bList "),
    ("{{range .none}}x{{else}}nothing{{end}}", "nothing"),
    ("{{range .items}}{{if .spec.nets}}{{continue}}{{end}}{{.metadata.name}}{{end}}", "b"),
    ("{{range .items}}{{.metadata.name}}{{break}}{{end}}", "a"),
    ("{{range $k, $v := (index .items 0).metadata.labels}}{{$k}}={{$v}}{{end}}", "x=1"),
    ("{{range .items}}{{if .spec.natOutgoing}}{{.metadata.name}}{{end}}{{end}}", "b"),
    ("{{if .none}}1{{else if .kind}}2{{else}}3{{end}}", "2"),
    ("{{if .none}}1{{else if .none}}2{{else}}3{{end}}", "3"),
    ("{{if .none}}1{{else with .kind}}{{.}}{{end}}", "List"),
    ("{{with .items}}{{len .}}{{else}}none{{end}}", "2"),
    ("{{with $x := .kind}}{{$x}}{{.}}{{end}}", "ListList"),
    ("{{with .none}}x{{else}}none{{end}}", "none"),
    ("{{$x := 1}}{{range .items}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$x := 1}}{{range .items}}{{$x := 2}}{{end}}{{$x}}", "1"),
    ("a {{- .kind -}} b", "aListb"),
    ("a\n{{- /* nothing */ -}}\nb", "ab"),
    ("{{/* }} */}}x", "x"),
    ('{{"}}"}}', "}}"),
    ('{{printf "%s|%-4s|%3d|%q|%v|%t|%05.1f|%%|%x" "a" "b" 7 "c" .kind true 2.25 255}}',
     'a|b   |  7|"c"|List|true|002.2|%|ff'),
    ('{{printf "%d" "a"}} {{printf "%d"}} {{printf "x" 1}}', "%!d(a) %!d(MISSING) x%!(EXTRA 1)"),
    ('{{.kind | printf "%s-%s" "a"}}', "a-List"),
    ("{{len .kind | print}}", "4"),
    ("{{index .items 1 `metadata` `name`}}", "b"),
    ("{{(index .items 0).spec.nets}}", "[n m]"),
    ("{{(index .items 0).metadata}}", "map[labels:map[x:1] name:a]"),
    ("{{(index .items 1).spec.order}} {{(index .items 0).spec.order}}", "2.5 10"),
    ("{{slice .kind 1 3}}", "is"),
    ("{{and 1 0}} {{and 1 2}} {{or 0 .kind}} {{or 0 ``}} {{not .none}}", "0 2 List  true"),
    ("{{and .none (index .none 5)}}", "<no value>"),
    ("{{eq 1 2 1}} {{ne .kind `x`}} {{lt 1 2.5}} {{le 2 2}} {{gt `b` `a`}} {{ge 1 2}}",
     "true true true true true false"),
    ("{{eq true 1}}", "false"),
    ("{{print 1 2 `a` 3}}{{println 1 `a`}}", "1 2a31 a\n"),
    ("{{html `<a>`}} {{urlquery `a b`}} {{js `'`}}", "&lt;a&gt; a+b \\'"),
    ("{{join (index .items 0).spec.nets `,`}} {{join `,` (index .items 0).spec.nets}}", "n,m n,m"),
    ("{{exists .items 7}} {{exists .items 0}}", "false true"),
    ("{{true}} {{false}} {{0x10}} {{-1}} {{1e2}} {{'a'}}", "true false 16 -1 100 97"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    # calicoctl's templates range over the results first, and name fields as Go does.
    ("{{range .}}{{range .Items}}{{.ObjectMeta.Name}}{{.Spec.NATOutgoing}} {{end}}{{end}}",
     "a<no value> btrue "),
    ("{{(index .Items 1).Spec.ASNumber}}", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "text"), RENDERED)
def test_it_prints_what_go_prints(template: str, text: str) -> None:
    assert parse(template).render(Whole(DATA)) == text


WRONG = [
    ("{{.kind", "1:1: the action is never closed"),
    ("x\n  {{.a ? }}", "2:8: unexpected '?'"),
    ("{{}}", "1:1: the action is empty"),
    ("{{if .x}}", "1:3: {{if}} has no {{end}}"),
    ("{{range .x}}{{else}}", "1:3: {{range}} has no {{end}}"),
    ("{{end}}", "1:3: {{end}} without its begin"),
    ("{{if .x}}{{else}}{{else}}{{end}}", "1:20: a second `else`"),
    ("{{if}}{{end}}", "'if' needs a value"),
    ("{{lenn .x}}", "1:3: there is no function 'lenn'; there are and, or"),
    ('{{template "x"}}', "1:3: 'template' is not supported"),
    ("{{break}}", "1:3: {{break}} outside of range"),
    ("{{(.x}}", "1:3: the ( is never closed"),
    ("{{.x | }}", "a value is missing"),
    ("{{.x .y}}", "only a function can be given arguments"),
    ("{{.kind.x}}", "1:3: can't look up .x in text"),
    ("{{.items.x}}", "can't look up .x in a list"),
    ("{{$x}}", "1:3: there is no variable $x"),
    ("{{$x = 1}}", "there is no variable $x"),
    ("{{index .items 7}}", "1:3: index: 7 is out of range, there are 2"),
    ("{{index .items `a`}}", "index: can't look up 'a'"),
    ("{{len 5}}", "len: a number has no length"),
    ("{{lt 1 `a`}}", "lt: can't compare a number with text"),
    ("{{not}}", "not: can't be called with nothing"),
    ("{{range .kind}}{{end}}", "range needs a list or a map"),
    ("{{.kind | .items}}", "only a function can take what is piped"),
    ('{{"\\q"}}', "is no text in quotes"),
]


@pytest.mark.parametrize(("template", "message"), WRONG)
def test_a_mistake_is_told_with_its_place(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as error:
        parse(template).render(Whole(DATA))
    assert str(error.value).startswith("go-template:")
    assert message in str(error.value)


@given(st.text(string.printable, max_size=60))
def test_any_text_is_a_template_or_a_mistake(text: str) -> None:
    try:
        parse(f"{{{{{text}}}}}").render(DATA)
    except TemplateError:
        return


@given(st.text(string.ascii_letters + " \n\"'.", max_size=60))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    assert parse(text).render({}) == text


@given(st.text(max_size=30))
def test_text_in_quotes_comes_out_again(text: str) -> None:
    assert parse(f"{{{{{json.dumps(text)}}}}}").render({}) == text
