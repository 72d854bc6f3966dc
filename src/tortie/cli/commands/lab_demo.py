"""The main job, shown from begin to end in a lab that is gone afterwards.

Three nodes on two subnets, nine pods in three namespaces. Real packets between
everybody before and after real policies, compared with what a person expects
(the files in tortie/lab/demo). Status 0 only where every probe went as expected.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tortie.api.manifests import Manifests
from tortie.cli import sources, writing
from tortie.cli.commands.lab_up import bring_up
from tortie.cli.errors import UserError
from tortie.cli.labs import BUILT_IN, timed
from tortie.cli.matrices import changes_by_source, print_legend, print_matrix, report_mismatches
from tortie.cli.progress import shown_progress
from tortie.cli.terminal import paint
from tortie.lab.cluster import Lab, take_down
from tortie.lab.journal import Journal
from tortie.lab.judging import Judgement, judge
from tortie.lab.matrix import Matrix, changed
from tortie.lab.plan import DEFAULT_NODES
from tortie.lab.progress import Progress
from tortie.lab.requirements import check_requirements
from tortie.lab.truth import Truth, everything, parse_truth

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Step(NamedTuple):
    """Policies to be applied and what a person expects afterwards."""

    title: str
    policies: Path
    expected: Path


STEPS = (
    Step(
        "with Kubernetes NetworkPolicies",
        BUILT_IN / "1-kubernetes.yaml",
        BUILT_IN / "1-expected.yaml",
    ),
    Step(
        "with Calico policies in a tier on top",
        BUILT_IN / "2-calico.yaml",
        BUILT_IN / "2-expected.yaml",
    ),
)


class Score:
    """How many probes were tried and how many went as expected."""

    def __init__(self) -> None:
        self.checked = 0
        self.wrong = 0

    def add(self, found: Judgement) -> None:
        """Count, and tell of mismatches."""
        self.checked += found.checked
        self.wrong += len(found.wrong)
        report_mismatches(found.checked, found.wrong)


def arguments(parser: argparse.ArgumentParser) -> None:
    """None: the demonstration is always the same."""


def run(options: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its options
    """Show it, and leave nothing behind, whatever happens."""
    check_requirements()
    name = f"demo-{os.getpid()}"
    score = Score()
    with _ended_by_signals():
        try:
            asyncio.run(_demo(name, score))
        finally:
            _clean_up(name)
    print(f"demo: {score.checked - score.wrong}/{score.checked} probes as expected")
    return 1 if score.wrong or not score.checked else 0


async def _demo(name: str, score: Score) -> None:
    with shown_progress() as progress:
        lab = await _raised(name, progress)
    try:
        before = await _show(lab, "without policies", everything("allowed"), score)
        print_legend(before)
        for step in STEPS:
            before = await _step(lab, step, before, score)
    finally:
        await lab.close()


async def _raised(name: str, progress: Progress) -> Lab:
    """The lab, with its pods."""
    lab = await Lab.create(name, DEFAULT_NODES, progress)
    try:
        _complain_of(await bring_up(lab, _read(BUILT_IN / "cluster.yaml")))
    except BaseException:
        await lab.close()
        raise
    return lab


async def _step(lab: Lab, step: Step, before: Matrix, score: Score) -> Matrix:
    resources = [located.resource for located in _read(step.policies).resources]
    done, seconds = await timed(lab, lambda store: writing.apply_all(store, resources))
    _complain_of(list(done))
    truth = parse_truth(str(step.expected), step.expected.read_text())
    after = await _show(lab, step.title, truth, score, before)
    flows = changed(before, after)
    print(
        f"{len(resources)} resources in force on {len(lab.plan.nodes)} nodes"
        f" {seconds * 1000:.0f} ms after apply began; {len(flows)} cells changed:"
    )
    for line in changes_by_source(after, flows):
        print(line)
    return after


async def _show(
    lab: Lab, title: str, truth: Truth, score: Score, before: Matrix | None = None
) -> Matrix:
    found = await judge(lab, truth)
    print(f"\n{paint(title, 'bold')}")
    print_matrix(found.matrix, changed(before, found.matrix) if before else ())
    score.add(found)
    return found.matrix


def _read(path: Path) -> Manifests:
    manifests = sources.read([str(path)], "default")
    if manifests.errors:
        raise UserError("\n".join(map(str, manifests.errors)))
    return manifests


def _complain_of(done: list[writing.Outcome]) -> None:
    failed = [f"{o.key}: {o.error}" for o in done if o.result == writing.FAILED]
    if failed:
        raise UserError("\n".join(failed))


def _clean_up(name: str) -> None:
    """Take the lab down, undisturbed."""
    for number in (signal.SIGINT, *_SIGNALS):
        signal.signal(number, signal.SIG_IGN)
    journal = Journal(name)
    if journal.path.exists():
        take_down(journal)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the block as Ctrl-C does, but where they are ignored (nohup)."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_SIGNALS)}
    for number in _SIGNALS:
        if before[number] != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As Ctrl-C, which is ignored itself in what a script has put into the background."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(number, frame)
