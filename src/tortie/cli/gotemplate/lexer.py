"""From the text of a template to literal pieces and the tokens of its actions."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from tortie.cli.gotemplate.errors import TemplateError

_OPEN = re.compile(r"\{\{(-(?=\s))?")
_COMMENT = re.compile(r"\s*/\*.*?\*/\s*?(\s-)?\}\}", re.DOTALL)
_CLOSE = re.compile(r"(\s-)?\}\}")
_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
  | (?P<char>'(?:[^'\\\n]|\\.)')
  | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?))
  | (?P<field>\.[^\W\d]\w*)
  | (?P<variable>\$\w*)
  | (?P<word>[^\W\d]\w*)
  | (?P<sign>:=|[=|(),.])
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """One part of an action. `attached`: nothing stands between it and the token before."""

    kind: str
    text: str
    position: int
    attached: bool = False


class Piece(NamedTuple):
    """Literal text (`tokens` empty), or an action (`text` empty)."""

    text: str
    tokens: tuple[Token, ...]
    position: int


def pieces(text: str) -> Iterator[Piece]:
    """The template's parts in order. Raises TemplateError."""
    position = 0
    trims = False  # whether the action before swallows the blanks that follow
    while opened := _OPEN.search(text, position):
        literal = text[position : opened.start()]
        literal = literal.lstrip() if trims else literal
        literal = literal.rstrip() if opened.group(1) else literal
        if literal:
            yield Piece(literal, (), position)
        tokens, closed = _action(text, opened)
        trims = bool(closed.group(1))
        if tokens:
            yield Piece("", tokens, opened.start())
        position = closed.end()
    rest = text[position:].lstrip() if trims else text[position:]
    if rest:
        yield Piece(rest, (), position)


def _action(text: str, opened: re.Match[str]) -> tuple[tuple[Token, ...], re.Match[str]]:
    """The tokens up to the end of the action, and its end; a comment has no tokens."""
    if comment := _COMMENT.match(text, opened.end()):
        return (), comment
    tokens: list[Token] = []
    position, attached = opened.end(), False
    while not (closed := _CLOSE.match(text, position)):
        if position >= len(text):
            raise TemplateError("the action is never closed: }} is missing", text, opened.start())
        found = _TOKEN.match(text, position)
        if found is None:
            raise TemplateError(f"unexpected {text[position]!r}", text, position)
        kind = str(found.lastgroup)
        if kind != "blank":
            tokens.append(Token(kind, found.group(), position, attached))
        attached = kind != "blank"
        position = found.end()
    if not tokens:
        raise TemplateError("the action is empty", text, opened.start())
    return tuple(tokens), closed


def unquoted(token: Token, text: str) -> str:
    """The text that a string token stands for. Raises TemplateError."""
    if token.text.startswith("`"):
        return token.text[1:-1]
    try:
        return str(json.loads(re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", token.text), strict=False))
    except ValueError:
        raise TemplateError(f"{token.text} is no text in quotes", text, token.position) from None
