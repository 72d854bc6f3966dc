"""Matrices as text that a person can read."""

from hypothesis import given, settings

from strategies.matrices import matrices
from tortie.lab.matrix import Answer, Flow, Matrix, Party, Port, changed, short_names
from tortie.lab.picture import compact, ports_legend, sign_of

HTTP, SQL = Port("tcp", 80), Port("tcp", 5432)
WEB, DB = Party("shop/web", "10.0.0.1", (HTTP,)), Party("shop/db", "10.0.0.2", (HTTP, SQL))
MATRIX = Matrix(
    (WEB, DB),
    {
        Flow("shop/web", "shop/db", HTTP): Answer("shop/db"),
        Flow("shop/web", "shop/db", SQL): Answer(),
        Flow("shop/db", "shop/web", HTTP): Answer("somebody"),
    },
)


def test_a_cell_has_a_sign_for_each_port_of_its_column() -> None:
    assert compact(MATRIX).splitlines() == [
        "from     web db",
        "shop/web .   +-",
        "shop/db  ?   ..",
    ]
    assert ports_legend(MATRIX) == "  web: tcp/80\n  db: tcp/80 tcp/5432"


@given(matrices())
@settings(deadline=None)
def test_no_line_is_wider_than_the_terminal_unless_one_column_is(matrix: Matrix) -> None:
    first = max(len(party.name) for party in matrix.parties)
    widest = first + 1 + max(len(p.name) + len(p.ports) for p in matrix.parties)
    assert all(len(line) <= max(40, widest) for line in compact(matrix, 40).splitlines())


@given(matrices())
@settings(deadline=None)
def test_every_outcome_is_in_the_table(matrix: Matrix) -> None:
    text = "".join(compact(matrix).split("\n"))
    signs = [sign_of(matrix, flow) for flow in matrix.answers]
    assert text.count("+") == signs.count("+")


def test_a_name_that_two_namespaces_have_is_written_in_full() -> None:
    assert short_names(["a/web", "b/web", "a/db"]) == {
        "a/web": "a/web",
        "b/web": "b/web",
        "a/db": "db",
    }


def test_changes_are_the_flows_whose_outcome_differs() -> None:
    flow = Flow("shop/web", "shop/db", SQL)
    after = Matrix(MATRIX.parties, {**MATRIX.answers, flow: Answer("shop/db")})
    assert changed(MATRIX, after) == [flow]
    assert changed(MATRIX, MATRIX) == []
