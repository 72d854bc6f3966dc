"""A template as data."""

from typing import Any, NamedTuple


class Literal(NamedTuple):
    """A value that stands in the template."""

    value: Any


class Dot(NamedTuple):
    """The value at hand."""


class Variable(NamedTuple):
    """`$name`; "$" alone is the value that the template began with."""

    name: str
    position: int


class Function(NamedTuple):
    """A function by its name."""

    name: str
    position: int


class Fields(NamedTuple):
    """`base.name.name`."""

    base: "Operand"
    names: tuple[str, ...]
    position: int


class Pipe(NamedTuple):
    """`command | command`: each is given what the one before gave, as its last argument.

    `variables` take the value: new ones where `declares`, else those that there are.
    """

    commands: tuple["Command", ...]
    position: int
    variables: tuple[str, ...] = ()
    declares: bool = True


class Command(NamedTuple):
    """A function and its arguments, or one value."""

    operands: tuple["Operand", ...]
    position: int


Operand = Literal | Dot | Variable | Function | Fields | Pipe


class Text(NamedTuple):
    """Text that is given out as it is."""

    text: str


class Output(NamedTuple):
    """The text of a value."""

    pipe: Pipe


class Branch(NamedTuple):
    """`if`, `with` or `range` (`word`), and what follows where the value is empty."""

    word: str
    pipe: Pipe
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


class Jump(NamedTuple):
    """`break` or `continue`."""

    word: str
    position: int


Node = Text | Output | Branch | Jump
