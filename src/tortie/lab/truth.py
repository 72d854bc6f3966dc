"""Truth files: what a person expects of a matrix, as grids that are written by hand.

    otherwise: allowed

    tcp/80: |
      from     web-1  web-2  outside
      web-1    .      -      +
      ops/*    +      +      +
      *        -      -      +

One grid for each port; rows call, columns answer. `+`: reached, `-`: not, `.`: not checked. A row
is a party's whole or short name, `namespace/*`, or `*`; the first that fits counts. What no grid
speaks of is as `otherwise` says (`allowed` or `denied`); without `otherwise`, it is an error, so
that nothing goes unchecked by oversight.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from tortie.api.documents import YamlError, read_documents
from tortie.lab.errors import LabError
from tortie.lab.matrix import Flow, Matrix, Port, short_names

_OTHERWISE = {"allowed": True, "denied": False}
_SIGNS: dict[str, bool | None] = {"+": True, "-": False, ".": None}


class Row(NamedTuple):
    """Who calls (a name or pattern), and what is expected of each column."""

    callers: str
    expected: Mapping[str, bool | None]


class Truth(NamedTuple):
    """What is expected; `source` is the name of the file, for messages."""

    source: str
    otherwise: bool | None
    grids: Mapping[Port, tuple[Row, ...]]


class Mismatch(NamedTuple):
    """A flow that did not go as expected."""

    flow: Flow
    expected: bool
    answered_by: str

    def __str__(self) -> str:
        found = f"{self.answered_by} answered" if self.answered_by else "no answer"
        wanted = "an answer" if self.expected else "no answer"
        return f"{self.flow}: expected {wanted}, found {found}"


def parse_truth(source: str, text: str) -> Truth:
    """Read a truth file. Raises LabError that names the file and the place."""
    content = _only_document(source, text)
    otherwise = content.pop("otherwise", None)
    if otherwise not in (None, *_OTHERWISE):
        raise LabError(f"{source}: otherwise: say 'allowed' or 'denied', not {otherwise!r}")
    grids = {_port(source, name): _grid(f"{source}: {name}", g) for name, g in content.items()}
    return Truth(source, _OTHERWISE.get(str(otherwise)), grids)


def _only_document(source: str, text: str) -> dict[str, object]:
    documents = []
    for document in read_documents(text):
        if isinstance(document, YamlError):
            raise LabError(f"{source}: line {document.line}: {document}")
        documents.append(document)
    data = documents[0].data if len(documents) == 1 else None
    if not isinstance(data, dict):
        raise LabError(f"{source}: a truth file is one document with a grid for each port")
    return dict(data)


def everything(outcome: str, source: str = "truth") -> Truth:
    """The truth that all is "allowed", or all "denied"."""
    return Truth(source, _OTHERWISE[outcome], {})


def compare(truth: Truth, matrix: Matrix) -> tuple[int, list[Mismatch]]:
    """How many flows were checked, and which of them went otherwise.

    Raises LabError where the truth names a party or port that the lab does not have, or says
    nothing of a flow.
    """
    short = short_names(party.name for party in matrix.parties)
    _check_names(truth, matrix, short)
    checked = 0
    wrong = []
    for flow, answer in matrix.answers.items():
        expected = _expected(truth, flow, short)
        if expected is None:
            continue
        checked += 1
        if (answer.answered_by == flow.destination) != expected or (
            answer.answered_by and not expected
        ):
            wrong.append(Mismatch(flow, expected, answer.answered_by))
    return checked, wrong


def _expected(truth: Truth, flow: Flow, short: Mapping[str, str]) -> bool | None:
    """What is expected of a flow; None: not to be checked."""
    names = (flow.destination, short[flow.destination])
    for row in truth.grids.get(flow.port, ()):
        column = next((name for name in names if name in row.expected), None)
        if column is not None and _fits(row.callers, flow.source, short[flow.source]):
            return row.expected[column]
    if truth.otherwise is None:
        raise LabError(f"{truth.source}: says nothing of {flow}; add it, or an 'otherwise:' line")
    return truth.otherwise


def _fits(pattern: str, name: str, short: str) -> bool:
    if pattern in ("*", name, short):
        return True
    return pattern.endswith("/*") and name.startswith(pattern[:-1])


def _port(source: str, text: str) -> Port:
    protocol, _, number = text.partition("/")
    if protocol not in ("tcp", "udp") or not number.isdigit() or not 0 < int(number) < 65536:
        raise LabError(f"{source}: {text!r} is not a port: write tcp/80 or udp/53")
    return Port(protocol, int(number))


def _grid(where: str, text: object) -> tuple[Row, ...]:
    content = text if isinstance(text, str) else ""
    lines = [line.split() for line in content.splitlines() if line.strip()]
    if not lines or lines[0][0] != "from":
        raise LabError(f"{where}: a grid begins with a line 'from DESTINATION DESTINATION …'")
    columns = lines[0][1:]
    return tuple(_row(where, columns, line) for line in lines[1:])


def _row(where: str, columns: list[str], line: list[str]) -> Row:
    callers, signs = line[0], line[1:]
    if len(signs) != len(columns):
        raise LabError(
            f"{where}: row {callers}: {len(signs)} signs for {len(columns)} columns"
            f" ({' '.join(columns)})"
        )
    for sign in signs:
        if sign not in _SIGNS:
            raise LabError(f"{where}: row {callers}: {sign!r} is no sign: use + - or .")
    return Row(callers, {name: _SIGNS[sign] for name, sign in zip(columns, signs, strict=True)})


def _check_names(truth: Truth, matrix: Matrix, short: Mapping[str, str]) -> None:
    """A name that nobody has would leave a cell unchecked: say so."""
    ports = {party.name: party.ports for party in matrix.parties}
    names = {**{tail: name for name, tail in short.items()}, **{name: name for name in short}}
    namespaces = {name.partition("/")[0] + "/*" for name in short if "/" in name}
    for port, rows in truth.grids.items():
        for row in rows:
            if row.callers != "*" and row.callers not in names and row.callers not in namespaces:
                raise _nobody(truth, port, row.callers, [*names, *namespaces])
            for column in row.expected:
                if column not in names:
                    raise _nobody(truth, port, column, list(names))
                if port not in ports[names[column]]:
                    raise LabError(f"{truth.source}: {port}: {column} has no such port")


def _nobody(truth: Truth, port: Port, name: str, known: list[str]) -> LabError:
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"
    return LabError(f"{truth.source}: {port}: the lab has no {name!r}{hint}")
