"""A matrix as text: one compact table, or one grid for each port as truth files have it."""

from collections.abc import Callable, Sequence

from tortie.lab.matrix import Flow, Matrix, Party, Port, short_names

Mark = Callable[[Flow, str], str]  # may dress a sign up (colour); must not change its width
REACHED, SILENT, STRANGER, ITSELF = "+", "-", "?", "."
LEGEND = "+ reached   - no answer   ? somebody else answered   . itself"


def plain(_flow: Flow, sign: str) -> str:
    """Signs as they are."""
    return sign


def sign_of(matrix: Matrix, flow: Flow) -> str:
    """The one character for what became of a flow."""
    if flow.source == flow.destination:
        return ITSELF
    if matrix.reached(flow):
        return REACHED
    return STRANGER if matrix.answers[flow].answered_by else SILENT


def compact(matrix: Matrix, width: int = 80, mark: Mark = plain) -> str:
    """A row for each source, a column for each destination, a sign for each of its ports.

    Splits into several tables where one would be wider than `width`; a list of the ports, in the
    order of the signs, ends it.
    """
    short = short_names(party.name for party in matrix.parties)
    first = max([len("from"), *(len(party.name) for party in matrix.parties)])
    tables = [
        _table(matrix, columns, short, first, mark)
        for columns in _split(matrix.parties, short, width - first)
    ]
    return "\n\n".join(tables)


def ports_legend(matrix: Matrix) -> str:
    """Which ports the signs of each column stand for."""
    short = short_names(party.name for party in matrix.parties)
    by_ports: dict[tuple[Port, ...], list[str]] = {}
    for party in matrix.parties:
        by_ports.setdefault(party.ports, []).append(short[party.name])
    return "\n".join(
        f"  {', '.join(names)}: {' '.join(map(str, ports))}"
        for ports, names in by_ports.items()
        if ports
    )


def grids(matrix: Matrix) -> str:
    """The truth file that this matrix would satisfy (see `tortie.lab.truth`)."""
    ports = sorted({port for party in matrix.parties for port in party.ports})
    return "\n".join(f"{port}: |\n{_grid(matrix, port)}\n" for port in ports)


def _grid(matrix: Matrix, port: Port) -> str:
    short = short_names(party.name for party in matrix.parties)
    columns = [party for party in matrix.parties if port in party.ports]
    first = max(len(party.name) for party in matrix.parties)
    lines = ["from".ljust(first) + "".join(f"  {short[party.name]}" for party in columns)]
    for source in matrix.parties:
        signs = (
            sign_of(matrix, Flow(source.name, party.name, port)).ljust(len(short[party.name]))
            for party in columns
        )
        lines.append(source.name.ljust(first) + "".join(f"  {sign}" for sign in signs))
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def _table(
    matrix: Matrix, columns: Sequence[Party], short: dict[str, str], first: int, mark: Mark
) -> str:
    lines = ["from".ljust(first) + "".join(f" {_padded(short[p.name], p, short)}" for p in columns)]
    for source in matrix.parties:
        cells = []
        for party in columns:
            flows = [Flow(source.name, party.name, port) for port in party.ports]
            signs = "".join(mark(flow, sign_of(matrix, flow)) for flow in flows)
            cells.append(" " + signs + " " * (_width(party, short) - len(flows)))
        lines.append(source.name.ljust(first) + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def _split(parties: Sequence[Party], short: dict[str, str], width: int) -> list[list[Party]]:
    chunks: list[list[Party]] = [[]]
    used = 0
    for party in parties:
        if not party.ports:
            continue
        needs = 1 + _width(party, short)
        if chunks[-1] and used + needs > width:
            chunks.append([])
            used = 0
        chunks[-1].append(party)
        used += needs
    return chunks


def _width(party: Party, short: dict[str, str]) -> int:
    return max(len(short[party.name]), len(party.ports))


def _padded(text: str, party: Party, short: dict[str, str]) -> str:
    return text.ljust(_width(party, short))
