"""From pieces to nodes."""

from collections.abc import Sequence

from tortie.cli.gotemplate.errors import TemplateError
from tortie.cli.gotemplate.functions import FUNCTIONS
from tortie.cli.gotemplate.lexer import Piece, Token, pieces, unquoted
from tortie.cli.gotemplate.nodes import (
    Branch,
    Command,
    Dot,
    Fields,
    Function,
    Jump,
    Literal,
    Node,
    Operand,
    Output,
    Pipe,
    Text,
    Variable,
)

_BRANCHES = ("if", "with", "range")
_CONSTANTS = {"true": True, "false": False, "nil": None}
_ABSENT = ("define", "template", "block")


def parse_nodes(text: str) -> tuple[Node, ...]:
    """The template's nodes. Raises TemplateError."""
    parser = _Nodes(text)
    nodes, ended = parser.body(())
    if ended is not None:
        raise TemplateError(f"{{{{{ended.text}}}}} without its begin", text, ended.position)
    return nodes


class _Nodes:
    """Goes through the pieces once; `_open` are the branches that are not closed yet."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces = pieces(text)
        self._open: list[Token] = []

    def body(self, ends: Sequence[str]) -> tuple[tuple[Node, ...], Token | None]:
        """Nodes up to `end` or `else`, which is given back with what follows it unread."""
        nodes: list[Node] = []
        for piece in self._pieces:
            if not piece.tokens:
                nodes.append(Text(piece.text))
                continue
            first = piece.tokens[0]
            if first.kind == "word" and first.text in ("end", "else"):
                self._else_tokens = piece.tokens[1:]
                if first.text == "end" and self._else_tokens:
                    raise self._error("nothing follows `end`", self._else_tokens[0])
                return tuple(nodes), first
            nodes.append(self._action(piece))
        if ends:
            raise self._error(f"{{{{{self._open[-1].text}}}}} has no {{{{end}}}}", self._open[-1])
        return tuple(nodes), None

    def _action(self, piece: Piece) -> Node:
        first, rest = piece.tokens[0], piece.tokens[1:]
        if first.kind == "word" and first.text in _BRANCHES:
            return self._branch(first, rest)
        if first.kind == "word" and first.text in ("break", "continue"):
            if all(opened.text != "range" for opened in self._open):
                raise self._error(f"{{{{{first.text}}}}} outside of range", first)
            return Jump(first.text, first.position)
        if first.kind == "word" and first.text in _ABSENT:
            raise self._error(f"{first.text!r} is not supported", first)
        return Output(_Pipes(self._text, piece.tokens).whole())

    def _branch(self, first: Token, rest: tuple[Token, ...]) -> Node:
        if not rest:
            raise self._error(f"{first.text!r} needs a value", first)
        pipe = _Pipes(self._text, rest).whole()
        if len(pipe.variables) > (2 if first.text == "range" else 1):
            raise self._error(f"too many variables for {first.text!r}", rest[0])
        self._open.append(first)
        body, ended = self.body(("end", "else"))
        otherwise: tuple[Node, ...] = ()
        if ended and ended.text == "else" and self._else_tokens:
            again, more = self._else_tokens[0], self._else_tokens[1:]
            if again.text not in ("if", "with"):
                raise self._error("`else` is followed by `if`, `with` or nothing", again)
            otherwise = (self._branch(again, more),)  # its end is ours, too
        elif ended and ended.text == "else":
            otherwise, ended = self.body(("end",))
            if ended and ended.text == "else":
                raise self._error("a second `else`", ended)
        self._open.pop()
        return Branch(first.text, pipe, body, otherwise)

    def _error(self, message: str, token: Token) -> TemplateError:
        return TemplateError(message, self._text, token.position)


class _Pipes:
    """Parses the tokens of one action."""

    def __init__(self, text: str, tokens: tuple[Token, ...]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Pipe:
        """All tokens as one pipeline."""
        variables, declares = self._variables()
        pipe = self._pipe()
        if token := self._peek():
            raise self._error(f"unexpected {token.text!r}", token)
        return pipe._replace(variables=variables, declares=declares)

    def _variables(self) -> tuple[tuple[str, ...], bool]:
        """The names before `:=` or `=`."""
        for count in (1, 3):
            head = self._tokens[: count + 1]
            if len(head) == count + 1 and head[-1].text in (":=", "="):
                signs = [token.text for token in head[1:-1:2]]
                names = head[:-1:2]
                if all(name.kind == "variable" for name in names) and signs in ([], [","]):
                    self._at = count + 1
                    return tuple(name.text for name in names), head[-1].text == ":="
        return (), True

    def _pipe(self) -> Pipe:
        position = self._position()
        commands = [self._command()]
        while (token := self._peek()) and token.text == "|" and token.kind == "sign":
            self._at += 1
            commands.append(self._command())
        return Pipe(tuple(commands), position)

    def _command(self) -> Command:
        position = self._position()
        operands = [self._operand()]
        while (token := self._peek()) and not (token.kind == "sign" and token.text in "|)"):
            operands.append(self._operand())
        first = operands[0]
        if len(operands) > 1 and not isinstance(first, Function):
            raise TemplateError("only a function can be given arguments", self._text, position)
        return Command(tuple(operands), position)

    def _operand(self) -> Operand:
        token = self._peek()
        if token is None:
            raise TemplateError("a value is missing", self._text, self._position())
        self._at += 1
        operand = self._primary(token)
        names: list[str] = []
        while (field := self._peek()) and field.kind == "field" and field.attached:
            if isinstance(operand, Literal | Function):
                raise self._error(f"{token.text} has no fields", field)
            names.append(field.text[1:])
            self._at += 1
        return Fields(operand, tuple(names), token.position) if names else operand

    def _primary(self, token: Token) -> Operand:
        match token.kind:
            case "field":
                operand: Operand = Fields(Dot(), (token.text[1:],), token.position)
            case "variable":
                operand = Variable(token.text, token.position)
            case "string":
                operand = Literal(unquoted(token, self._text))
            case "char":
                operand = Literal(ord(token.text[1:-1].encode().decode("unicode_escape")))
            case "number":
                operand = Literal(_number(token.text))
            case "word":
                operand = self._word(token)
            case _:
                operand = self._sign(token)
        return operand

    def _word(self, token: Token) -> Operand:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text])
        if token.text in FUNCTIONS:
            return Function(token.text, token.position)
        known = ", ".join(FUNCTIONS)
        raise self._error(f"there is no function {token.text!r}; there are {known}", token)

    def _sign(self, token: Token) -> Operand:
        if token.text == ".":
            return Dot()
        if token.text != "(":
            raise self._error(f"a value is missing before {token.text!r}", token)
        pipe = self._pipe()
        closing = self._peek()
        if closing is None or closing.text != ")":
            raise self._error("the ( is never closed", token)
        self._at += 1
        return pipe

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _position(self) -> int:
        token = self._peek() or self._tokens[-1]
        return token.position

    def _error(self, message: str, token: Token) -> TemplateError:
        return TemplateError(message, self._text, token.position)


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        return float(text)
