"""Truth files: what is expected of a matrix, and what is said of files that can't be right."""

import pytest
from hypothesis import given, settings

from strategies.matrices import matrices
from tortie.lab.errors import LabError
from tortie.lab.matrix import Answer, Flow, Matrix, Party, Port, flows_between
from tortie.lab.picture import grids
from tortie.lab.truth import compare, everything, parse_truth

HTTP, DNS = Port("tcp", 80), Port("udp", 53)
PARTIES = (
    Party("shop/web", "10.0.0.1", (HTTP,)),
    Party("shop/db", "10.0.0.2", ()),
    Party("ops/dns", "10.0.0.3", (DNS,)),
    Party("outside", "10.0.0.4", (HTTP, DNS)),
)


def matrix_of(*reached: tuple[str, str, Port]) -> Matrix:
    """Only these flows found whom they were meant for."""
    flows = flows_between(PARTIES)
    return Matrix(
        PARTIES,
        {flow: Answer(flow.destination) if flow in reached else Answer() for flow in flows},
    )


def everybody() -> Matrix:
    """All flows found whom they were meant for."""
    return matrix_of(*flows_between(PARTIES))


@given(matrices())
@settings(deadline=None)
def test_what_a_matrix_prints_as_truth_it_satisfies(matrix: Matrix) -> None:
    text = grids(matrix)
    if text:
        checked, wrong = compare(parse_truth("t", text), matrix)
        assert (checked, wrong) == (len(matrix.answers), [])


@given(matrices())
@settings(deadline=None)
def test_a_single_different_outcome_is_found(matrix: Matrix) -> None:
    for flow, answer in matrix.answers.items():
        other = Answer() if answer.answered_by else Answer(flow.destination)
        changed = Matrix(matrix.parties, {**matrix.answers, flow: other})
        _, wrong = compare(parse_truth("t", grids(matrix)), changed)
        assert [mismatch.flow for mismatch in wrong] == [flow]


def test_the_first_row_that_fits_counts() -> None:
    truth = parse_truth(
        "t",
        """
otherwise: allowed
tcp/80: |
  from    web  outside
  db      -    +
  shop/*  .    +
  *       +    -
""",
    )
    found = matrix_of(
        *(f for f in flows_between(PARTIES) if f.port == DNS),
        Flow("shop/db", "outside", HTTP),
        Flow("shop/web", "outside", HTTP),
        Flow("ops/dns", "shop/web", HTTP),
        Flow("outside", "shop/web", HTTP),
    )
    assert compare(truth, found) == (len(found.answers), [])


def test_an_answer_from_somebody_else_is_never_as_expected() -> None:
    matrix = everybody()
    flow = Flow("shop/db", "shop/web", HTTP)
    matrix = Matrix(PARTIES, {**matrix.answers, flow: Answer("ops/dns")})
    for outcome in ("allowed", "denied"):
        wrong = compare(everything(outcome), matrix)[1]
        assert "shop/db -> shop/web tcp/80" in "\n".join(map(str, wrong))
        assert "ops/dns answered" in "\n".join(map(str, wrong))


def test_a_dot_is_not_checked() -> None:
    text = "otherwise: allowed\ntcp/80: |\n  from web\n  *    .\n"
    checked, _ = compare(parse_truth("t", text), everybody())
    assert checked == len(everybody().answers) - 3  # three others call web on tcp/80


def test_saying_nothing_of_a_flow_is_an_error_without_otherwise() -> None:
    with pytest.raises(LabError, match="says nothing of shop/web -> ops/dns udp/53"):
        compare(parse_truth("t", "tcp/80: |\n  from web outside\n  *    +   +\n"), everybody())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tcp/80: [", "broken YAML"),
        ("- a", "one document with a grid for each port"),
        ("a: 1\n---\nb: 2", "one document"),
        ("http: x", "'http' is not a port: write tcp/80"),
        ("tcp/0: x", "'tcp/0' is not a port"),
        ("sctp/80: x", "'sctp/80' is not a port"),
        ("otherwise: yes", "say 'allowed' or 'denied', not True"),
        ("tcp/80: 7", "tcp/80: a grid begins with a line 'from"),
        ("tcp/80: |\n  web api\n", "a grid begins with a line 'from"),
        ("tcp/80: |\n  from a b\n  x + \n", "row x: 1 signs for 2 columns"),
        ("tcp/80: |\n  from a\n  x y\n", "row x: 'y' is no sign: use"),
        ("tcp/80: |\n  from a\n  x +\ntcp/80: |\n  from a\n  x -\n", "is there twice"),
    ],
)
def test_a_file_that_is_no_truth_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message) as caught:
        parse_truth("truth.yaml", text)
    assert str(caught.value).startswith("truth.yaml: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tcp/80: |\n  from wen\n  * +\n", "no 'wen'; did you mean web"),
        ("tcp/80: |\n  from web\n  shop/dv +\n", "no 'shop/dv'; did you mean shop/db"),
        ("tcp/80: |\n  from web\n  shopp/* +\n", "no 'shopp/\\*'; did you mean shop/\\*"),
        ("tcp/81: |\n  from web\n  * +\n", "tcp/81: web has no such port"),
    ],
)
def test_a_name_that_nobody_has_is_refused(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        compare(parse_truth("t", "otherwise: allowed\n" + text), everybody())
