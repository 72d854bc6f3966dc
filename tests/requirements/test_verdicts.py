"""What each check says of what it found, as values, and that none is said one way only."""

import pytest

from requirements.cases import CASES, Case
from tortie.requirements.checks.documented import DOCUMENTED
from tortie.requirements.model import Verdict
from tortie.requirements.registry import CHECKS, rows

ROWS = {
    **dict.fromkeys((f"N{number}" for number in range(1, 9)), "Node"),
    **dict.fromkeys((f"K{number}" for number in range(1, 4)), "Key/value store"),
    **dict.fromkeys((f"P{number}" for number in range(1, 10)), "Network"),
    **dict.fromkeys((f"B{number}" for number in range(1, 11)), "Kubernetes"),
    **dict.fromkeys((f"O{number}" for number in range(1, 4)), "OpenStack"),
    **dict.fromkeys((f"L{number}" for number in range(1, 7)), "Kernel"),
}
"""Every row that the system promises to keep."""


def name_of(case: Case) -> str:
    return f"{case.check.row} {case.check.what}: {case.verdict} {case.words}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_check_says(case: Case) -> None:
    found = case.finding()
    assert (found.verdict, case.words) == (case.verdict, case.words)
    assert case.words in f"{found.found} {found.fix}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_whoever_has_something_to_do_is_told_what(case: Case) -> None:
    found = case.finding()
    assert bool(found.found)
    assert bool(found.fix) == (found.verdict in (Verdict.WARNING, Verdict.MISSING))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.row} {check.what}")
def test_each_check_is_tried_both_ways(check: object) -> None:
    verdicts = {case.verdict for case in CASES if case.check is check}
    assert Verdict.OK in verdicts
    assert verdicts & {Verdict.WARNING, Verdict.MISSING}


def test_every_row_is_checked_or_documented_with_its_reason() -> None:
    assert {one.row for one in rows() if one.row[0] != "S"} == set(ROWS)
    assert all(len(one.reason) > 40 for one in DOCUMENTED)
    assert not {one.row for one in DOCUMENTED} & {check.row for check in CHECKS}


def test_checks_stand_in_the_order_of_their_rows() -> None:
    numbers = [one.row for one in rows()]
    assert numbers[:3] == ["N1", "N2", "N3"]
    assert numbers.index("B2") < numbers.index("B10") < numbers.index("O1")
