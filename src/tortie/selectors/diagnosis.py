"""Where and why a text is no selector: walked only once the parser has failed."""

import re

from tortie.selectors.errors import SelectorError
from tortie.selectors.grammar import BLANKS, LABEL, MAX_LABEL, SET_OPERATOR, STRING, TEXT_OPERATOR

_OPERAND = 'a label, has(label), all(), global(), "!" or "("'
_OPERATOR = "an operator (==, !=, in, not in, contains, starts with, ends with)"
_VALUE = 'a value in quotes, as in "web"'
_ONE_LINE = "a selector is one line; in YAML, >- makes one of several"
_CONNECTIVE_HINTS = {
    "&": "and is written &&",
    "and": "and is written &&",
    "|": "or is written ||",
    "or": "or is written ||",
    ",": "and is written &&, or ||",
    ")": 'this ")" closes nothing',
    "\n": _ONE_LINE,
}
_LABEL_HINTS = {
    "'": "labels go without quotes",
    '"': "labels go without quotes",
    "\n": _ONE_LINE,
}
_OPERATOR_HINTS = {
    "=": "equals is written ==",
    ":": "equals is written ==",
    "(": "only has, all and global take parentheses",
}
_WITH_PARENTHESES = ("has", "all", "global")
_END = {True: '"&&", "||" or ")"', False: '"&&", "||" or the end'}

_blanks = re.compile(BLANKS)
_label = re.compile(LABEL)
_label_characters = re.compile(r"[A-Za-z0-9_./-]+")
_string = re.compile(STRING)
_set_operator = re.compile(rf"(?:{SET_OPERATOR})(?![A-Za-z0-9_./-])")
_text_operator = re.compile(rf"(?:==|!=|(?:{TEXT_OPERATOR})(?![A-Za-z0-9_./-]))")


def operand_error(text: str, position: int) -> SelectorError:
    """The error where no operand could be read at `position`."""
    position = _skip(text, position)
    if text.startswith("has(", position):
        return _has_error(text, position + len("has("))
    label = _label.match(text, position)
    if label is None:
        return _label_error(text, position, _OPERAND)
    return _comparison_error(text, label[0], _skip(text, label.end()))


def connective_error(text: str, position: int, inside: bool) -> SelectorError:
    """The error where an operand is followed by neither an operator nor an end."""
    position = _skip(text, position)
    word = _label_characters.match(text, position)
    found = word[0].lower() if word else text[position : position + 1]
    hint = 'a "(" is not closed' if inside and not found else _CONNECTIVE_HINTS.get(found, "")
    return SelectorError(text, position, _END[inside], hint)


def nesting_error(text: str, position: int, limit: int) -> SelectorError:
    """The error of a parenthesis too deep."""
    return SelectorError(text, position, f"no more than {limit} open parentheses")


def _has_error(text: str, position: int) -> SelectorError:
    position = _skip(text, position)
    label = _label.match(text, position)
    if label is None:
        return _label_error(text, position, "a label")
    return SelectorError(text, _skip(text, label.end()), '")"')


def _label_error(text: str, position: int, expected: str) -> SelectorError:
    word = _label_characters.match(text, position)
    if word is not None:
        hint = f"this label has {len(word[0])}"
        return SelectorError(text, position, f"a label of at most {MAX_LABEL} characters", hint)
    return SelectorError(
        text, position, expected, _LABEL_HINTS.get(text[position : position + 1], "")
    )


def _comparison_error(text: str, label: str, position: int) -> SelectorError:
    """The error behind a label."""
    if operator := _text_operator.match(text, position):
        return _value_error(text, _skip(text, operator.end()), _VALUE)
    if operator := _set_operator.match(text, position):
        position = _skip(text, operator.end())
        if text.startswith("{", position):
            return _list_error(text, position + 1)
        return SelectorError(text, position, '"{"', 'a list is written {"a", "b"}')
    return SelectorError(text, position, _OPERATOR, _operator_hint(text, label, position))


def _operator_hint(text: str, label: str, position: int) -> str:
    """What may have been meant by something behind a label that is no operator."""
    word = _label_characters.match(text, position)
    if label.lower() == "not" and word:
        return "not is written !"
    if text.startswith("(", position) and label.lower() in _WITH_PARENTHESES:
        return f"{label.lower()}( is written in small letters and without a blank"
    if word and _text_operator.fullmatch(word[0].lower()):
        return "operators are written in small letters"
    return _OPERATOR_HINTS.get(text[position : position + 1], "")


def _list_error(text: str, position: int) -> SelectorError:
    """The error within a list that is not well formed."""
    position = _skip(text, position)
    if text.startswith(",", position):
        return SelectorError(text, position, f'{_VALUE}, or "}}"')
    while value := _string.match(text, position):
        position = _skip(text, value.end())
        if not text.startswith(",", position):
            return SelectorError(text, position, '"," or "}"')
        position = _skip(text, position + 1)
    return _value_error(text, position, f'{_VALUE}, or "}}"')


def _value_error(text: str, position: int, expected: str) -> SelectorError:
    first = text[position : position + 1]
    if first in ("'", '"'):
        hint = "no quote is escaped; a text with one kind goes between the other kind"
        return SelectorError(text, position, f"a closing {first} for this text", hint)
    word = _label_characters.match(text, position)
    hint = f'write "{word[0]}"' if word and len(word[0]) < 64 else ""
    return SelectorError(text, position, expected, hint)


def _skip(text: str, position: int) -> int:
    found = _blanks.match(text, position)
    return found.end() if found else position
