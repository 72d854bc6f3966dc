"""Compare what is with what is expected, and don't take a busy machine for a policy."""

from typing import NamedTuple

from tortie.lab.cluster import Lab
from tortie.lab.matrix import Matrix
from tortie.lab.probing import PROBE_TIMEOUT
from tortie.lab.truth import Mismatch, Truth, compare

SECOND_TIMEOUT = 6.0  # seconds


class Judgement(NamedTuple):
    """What was found, how many flows were checked, and which were not as expected."""

    matrix: Matrix
    checked: int
    wrong: list[Mismatch]


async def judge(
    lab: Lab, truth: Truth, patience: float = PROBE_TIMEOUT, version: int = 0
) -> Judgement:
    """Probe and compare. Raises LabError where the truth does not fit the lab.

    Where an answer is missing, all is tried once more with more time. An answer that came in either
    round counts, so that what must not be reached has two chances to be caught, and none to hide.
    """
    matrix = await lab.probe(patience, version)
    checked, wrong = compare(truth, matrix)
    if any(mismatch.expected and not mismatch.answered_by for mismatch in wrong):
        matrix = _either(matrix, await lab.probe(max(patience, SECOND_TIMEOUT), version))
        checked, wrong = compare(truth, matrix)
    return Judgement(matrix, checked, wrong)


def _either(first: Matrix, second: Matrix) -> Matrix:
    answers = {
        flow: answer if answer.answered_by else second.answers.get(flow, answer)
        for flow, answer in first.answers.items()
    }
    return Matrix(first.parties, answers)
