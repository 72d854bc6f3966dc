"""All checks of one machine: what needs the kernel is tried, then each is judged."""

from pathlib import Path

from tortie.requirements.cluster.facts import Cluster
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, Result, Verdict
from tortie.requirements.modes import Modes
from tortie.requirements.peer.answers import PeerReport
from tortie.requirements.registry import rows
from tortie.requirements.sandbox import Trial


class Report(tuple[Result, ...]):
    """What was found, in the order of the rows."""

    @property
    def status(self) -> int:
        """0: all is well. 1: something is missing. 3: there are warnings only."""
        verdicts = {one.finding.verdict for one in self}
        if Verdict.MISSING in verdicts:
            return 1
        return 3 if Verdict.WARNING in verdicts else 0


def trials_of(modes: Modes) -> list[str]:
    """What has to be tried for these modes, each name once."""
    needed = (
        name
        for check in rows()
        if isinstance(check, Check) and check.applies(modes)
        for name in check.trials
    )
    return list(dict.fromkeys(needed))


def check_machine(
    modes: Modes,
    root: Path = Path("/"),
    cluster: Cluster | None = None,
    peer: PeerReport | None = None,
    trial: Trial | None = None,
) -> Report:
    """Check it. `trial` may have been started already, so that it goes on beside other work."""
    answers = (trial or Trial(trials_of(modes))).answers()
    return judged(Machine(modes, root, answers, cluster, peer))


def judged(machine: Machine) -> Report:
    """The findings of all rows."""
    return Report(Result(one, _finding(one, machine)) for one in rows())


def _finding(one: object, machine: Machine) -> Finding:
    if not isinstance(one, Check):
        return Finding(Verdict.DOCUMENTED, getattr(one, "reason", ""))
    if not one.applies(machine.modes):
        return Finding(Verdict.UNNEEDED, f"needed by: {one.needed}")
    return one.judge(machine)
