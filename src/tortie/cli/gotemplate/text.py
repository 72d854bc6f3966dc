"""Carrying out a template."""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from tortie.cli.gotemplate.errors import Fault, TemplateError
from tortie.cli.gotemplate.functions import FUNCTIONS, field, is_true, shown
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
from tortie.cli.gotemplate.parser import parse_nodes

_GIVEN_NOTHING = object()  # the first command of a pipeline is given nothing


class Whole(dict[str, Any]):
    """A map of which `{{range .}}` gives itself, once.

    calicoctl's templates range over the results before they look at their items.
    """


class Template(NamedTuple):
    """A parsed template."""

    text: str
    nodes: tuple[Node, ...]

    def render(self, value: Any) -> str:
        """The text for a value of dicts, lists and scalars. Raises TemplateError."""
        run = _Run(self.text)
        run.nodes(self.nodes, value, ChainMap({"$": value}))
        return "".join(run.out)


@lru_cache
def parse(text: str) -> Template:
    """The template. Raises TemplateError."""
    return Template(text, parse_nodes(text))


class _Jumped(Exception):
    """A `break` or `continue` on its way to its `range`."""


class _Run:
    """One rendering: `out` collects the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.out: list[str] = []

    def nodes(self, nodes: Iterable[Node], dot: Any, variables: "Variables") -> None:
        for node in nodes:
            match node:
                case Text(text):
                    self.out.append(text)
                case Output(pipe):
                    value = self._pipe(pipe, dot, variables)
                    self._remember(pipe, [value], variables)
                    if not pipe.variables:
                        self.out.append(shown(value))
                case Branch():
                    self._branch(node, dot, variables.new_child())
                case Jump(word):
                    raise _Jumped(word)

    def _branch(self, branch: Branch, dot: Any, variables: "Variables") -> None:
        value = self._pipe(branch.pipe, dot, variables)
        if branch.word == "range":
            self._range(branch, value, dot, variables)
            return
        self._remember(branch.pipe, [value], variables)
        if not is_true(value):
            self.nodes(branch.otherwise, dot, variables)
        else:
            self.nodes(branch.body, value if branch.word == "with" else dot, variables)

    def _range(self, branch: Branch, value: Any, dot: Any, variables: "Variables") -> None:
        items = list(self._items(value, branch.pipe))
        for key, item in items:
            inner = variables.new_child()
            values = [key, item] if len(branch.pipe.variables) == 2 else [item]
            self._remember(branch.pipe, values, inner)
            try:
                self.nodes(branch.body, item, inner)
            except _Jumped as jump:
                if str(jump) == "break":
                    break
        if not items:
            self.nodes(branch.otherwise, dot, variables)

    def _items(self, value: Any, pipe: Pipe) -> Iterator[tuple[Any, Any]]:
        match value:
            case None:
                return
            case Whole():
                yield 0, value
            case Mapping():
                yield from ((key, value[key]) for key in sorted(value))
            case list() | tuple():
                yield from enumerate(value)
            case int() if not isinstance(value, bool):
                yield from ((number, number) for number in range(value))
            case _:
                raise self._error("range needs a list or a map", pipe.position)

    def _remember(self, pipe: Pipe, values: list[Any], variables: "Variables") -> None:
        for name, value in zip(pipe.variables, values, strict=False):
            if pipe.declares:
                variables[name] = value
                continue
            scope = next((scope for scope in variables.maps if name in scope), None)
            if scope is None:
                raise self._error(f"there is no variable {name}", pipe.position)
            scope[name] = value

    def _pipe(self, pipe: Pipe, dot: Any, variables: "Variables") -> Any:
        value: Any = _GIVEN_NOTHING
        for command in pipe.commands:
            value = self._command(command, value, dot, variables)
        return value

    def _command(self, command: Command, given: Any, dot: Any, variables: "Variables") -> Any:
        first, *rest = command.operands
        if not isinstance(first, Function):
            if given is not _GIVEN_NOTHING:
                raise self._error("only a function can take what is piped", command.position)
            return self._operand(first, dot, variables)
        last = [] if given is _GIVEN_NOTHING else [given]
        if first.name in ("and", "or"):
            return self._until(first, rest, last, dot, variables)
        return self._call(first, [*(self._operand(o, dot, variables) for o in rest), *last])

    def _until(
        self,
        function: Function,
        operands: list[Operand],
        last: list[Any],
        dot: Any,
        variables: "Variables",
    ) -> Any:
        """`and`, `or`: what follows the value that decides is not looked at."""
        value: Any = None
        for operand in operands:
            value = self._operand(operand, dot, variables)
            if is_true(value) == (function.name == "or"):
                return value
        return self._call(function, [value, *last] if operands else last)

    def _call(self, function: Function, arguments: list[Any]) -> Any:
        try:
            return FUNCTIONS[function.name](*arguments)
        except Fault as fault:
            raise self._error(str(fault), function.position) from None
        except (TypeError, ValueError, IndexError):
            found = ", ".join(map(shown, arguments)) or "nothing"
            message = f"{function.name}: can't be called with {found}"
            raise self._error(message, function.position) from None

    def _operand(self, operand: Operand, dot: Any, variables: "Variables") -> Any:
        match operand:
            case Literal(value):
                return value
            case Dot():
                return dot
            case Variable(name, position):
                if name not in variables:
                    raise self._error(f"there is no variable {name}", position)
                return variables[name]
            case Fields(base, names, position):
                return self._fields(self._operand(base, dot, variables), names, position)
            case Pipe():
                return self._pipe(operand, dot, variables)
            case Function():
                return self._call(operand, [])

    def _fields(self, value: Any, names: tuple[str, ...], position: int) -> Any:
        try:
            for name in names:
                value = field(value, name)
        except Fault as fault:
            raise self._error(str(fault), position) from None
        return value

    def _error(self, message: str, position: int) -> TemplateError:
        return TemplateError(message, self._text, position)


Variables = ChainMap[str, Any]
