"""The parser and the evaluator against an independent grammar and a plain walk over its tree."""

from collections.abc import Mapping

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lark import Lark, Token, Transformer
from lark.exceptions import LarkError

from strategies.selectors import labels, selector_texts
from tortie.selectors import SelectorError, parse

# Earley's algorithm, whose scanner looks for exactly the words that the grammar allows next: it
# takes all that the grammar has, with no thought given to speed or to the order of alternatives.
GRAMMAR = r"""
    start: _B? | _B? disjunction _B?
    disjunction: conjunction (_B? "||" _B? conjunction)*
    conjunction: _operand (_B? "&&" _B? _operand)*
    _operand: negated | has | everything | group | comparison
    negated: "!" _B? _operand
    has: "has(" _B? LABEL _B? ")"
    everything: ("all" | "global") ("(" _B? ")")?
    group: "(" _B? disjunction _B? ")"
    comparison: LABEL _B? "==" _B? STRING -> equal
      | LABEL _B? "!=" _B? STRING -> unequal
      | LABEL _B? "contains" _B? STRING -> contains
      | LABEL _B? "starts" _B? "with" _B? STRING -> starts
      | LABEL _B? "ends" _B? "with" _B? STRING -> ends
      | LABEL _B? "in" _B? members -> inside
      | LABEL _B? "not" _B? "in" _B? members -> outside
    members: "{" _B? (STRING (_B? "," _B? STRING)* _B? ("," _B?)?)? "}"
    LABEL: /[A-Za-z0-9_.\/-]{1,512}(?![A-Za-z0-9_.\/-])/
    STRING: /"[^"]*"|'[^']*'/
    _B: /[ \t]+/
"""
REFERENCE = Lark(GRAMMAR, parser="earley", lexer="dynamic")


class Evaluate(Transformer[Token, bool]):
    """Whether a parsed selector matches labels: one method for each phrase of the grammar."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        super().__init__()
        self.labels = labels

    def start(self, found: list[bool]) -> bool:
        return found[0] if found else True

    def disjunction(self, found: list[bool]) -> bool:
        return any(found)

    def conjunction(self, found: list[bool]) -> bool:
        return all(found)

    def group(self, found: list[bool]) -> bool:
        return found[0]

    def negated(self, found: list[bool]) -> bool:
        return not found[0]

    def everything(self, found: list[Token]) -> bool:
        return not found

    def has(self, found: list[Token]) -> bool:
        return found[0] in self.labels

    def members(self, found: list[Token]) -> set[str]:
        return {text[1:-1] for text in found}

    def equal(self, found: list[Token]) -> bool:
        return self.labels.get(found[0]) == found[1][1:-1]

    def unequal(self, found: list[Token]) -> bool:
        return not self.equal(found)

    def inside(self, found: tuple[Token, set[str]]) -> bool:
        return self.labels.get(found[0]) in found[1]

    def outside(self, found: tuple[Token, set[str]]) -> bool:
        return not self.inside(found)

    def contains(self, found: list[Token]) -> bool:
        return found[0] in self.labels and found[1][1:-1] in self.labels[found[0]]

    def starts(self, found: list[Token]) -> bool:
        return found[0] in self.labels and self.labels[found[0]].startswith(found[1][1:-1])

    def ends(self, found: list[Token]) -> bool:
        return found[0] in self.labels and self.labels[found[0]].endswith(found[1][1:-1])


def is_selector(text: str) -> bool:
    """Whether the reference grammar has this text."""
    try:
        REFERENCE.parse(text)
    except LarkError:
        return False
    return True


def refusal(text: str) -> SelectorError | None:
    """The parser's error; None if it takes the text. Any other exception is a failure."""
    try:
        parse(text)
    except SelectorError as error:
        return error
    return None


_WORDS = r"""
    a b all global has has( ( ) () == != = ! && || & in not notin contains starts with startswith
    ends endswith { } {} , 'x' "y" '' ' " '(' - / . : é
"""
_words = st.sampled_from([" ", "\t", "\n", *_WORDS.split()])
_nearly = st.lists(_words, max_size=12).map("".join)


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    """A selector with a stretch cut out, doubled or replaced."""
    text = draw(selector_texts)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 4)))
    put = draw(st.sampled_from(["", text[start:end] * 2]) | _words)
    return text[:start] + put + text[end:]


@settings(deadline=None)
@given(selector_texts, st.lists(labels, min_size=1, max_size=4))
def test_a_selector_matches_what_the_reference_says(
    text: str, several: list[dict[str, str]]
) -> None:
    tree = REFERENCE.parse(text)
    for each in several:
        assert parse(text).matches(each) == Evaluate(each).transform(tree)


@settings(deadline=None, max_examples=300)
@given(st.one_of(_nearly, _damaged()))
@example("acontains 'x'")
@example("a in {,}")
@example("has (a)")
@example("allx")
@example("all ()")
@example("a" * 512 + "=='x'")
@example("a" * 513 + "=='x'")
@example("has(a)\n")
def test_what_the_grammar_has_is_taken_and_nothing_else(text: str) -> None:
    assert (refusal(text) is None) == is_selector(text)


@settings(max_examples=500)
@given(st.text() | st.text("()!&|{}'\", \tab=", max_size=200))
def test_any_text_is_a_selector_or_a_selector_error(text: str) -> None:
    error = refusal(text)
    if error is not None:
        assert 0 <= error.position <= len(text)
        message, line, caret = str(error).split("\n")
        assert error.expected in message
        assert caret.strip() == "^"
        assert len(caret) <= len(line) + 1 <= 80


@given(
    st.sampled_from(["(", "!(", "(has(a)&&", "has(a)||!(", "!", "has(a)&&", "a in {'x',"]),
    st.integers(0, 3000),
    st.sampled_from(["", "has(a)", ")", "has(a)" + ")" * 64, "}"]),
)
def test_no_depth_or_length_overflows(repeated: str, times: int, end: str) -> None:
    text = repeated * times + end
    if refusal(text) is None:
        selector = parse(text)
        selector.matches({"a": "x"})
        assert parse(selector.canonical) == selector
        assert selector.restrictions is None or selector.uid


@given(selector_texts)
def test_the_canonical_form_is_its_own_canonical_form_and_means_the_same(text: str) -> None:
    selector = parse(text)
    again = parse(selector.canonical)
    assert again.canonical == selector.canonical
    assert again.uid == selector.uid
    assert again.tree == selector.tree
