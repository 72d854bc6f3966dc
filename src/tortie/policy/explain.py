"""A verdict as text for people, at most 80 columns wide."""

import textwrap
from collections.abc import Iterator

from tortie.policy.evaluate import Miss, Outcome, Stage, Step, Verdict

WIDTH = 80
MISSES_SHOWN = 10
_DEEP = " " * 6


def explain(verdict: Verdict) -> str:
    """The verdict, then each side with each stage: what decided, or why no rule did."""
    lines = list(_wrapped(f"{verdict.packet}: {'allowed' if verdict.allowed else 'denied'}", ""))
    side = None
    for step in verdict.steps:
        if side != (step.direction, step.endpoint):
            side = (step.direction, step.endpoint)
            lines += ["", *_wrapped(f"{step.direction} of {step.endpoint}", "")]
        lines += _step(step)
    if not verdict.steps:
        lines += _wrapped("neither end is a workload here: no policy has a say", "  ")
    return "\n".join(lines)


def _step(step: Step) -> Iterator[str]:
    yield from _wrapped(f"{_stage(step)}: {_result(step)}", "  ")
    for rule in step.logged:
        yield from _wrapped(f"{rule} logs it", _DEEP)
    for miss in step.misses[:MISSES_SHOWN]:
        yield from _wrapped(_miss(miss), _DEEP)
    if len(step.misses) > MISSES_SHOWN:
        yield from _wrapped(f"… and {len(step.misses) - MISSES_SHOWN} rules more", _DEEP)


def _stage(step: Step) -> str:
    return f"{step.stage} {step.name}" if step.name else str(step.stage)


def _result(step: Step) -> str:
    if step.matched is not None:
        return f"{step.matched} {_VERBS[step.outcome]}"
    if step.stage is Stage.TIER:
        action = "Deny" if step.outcome is Outcome.DENY else "Pass"
        return f"no rule matched, default action {action}"
    if step.stage is Stage.PROFILE:
        return "no rule matched"
    return f"{step.reason}: denied"


_VERBS = {
    Outcome.ALLOW: "allows it",
    Outcome.DENY: "denies it",
    Outcome.NEXT: "passes it on",
}


def _miss(miss: Miss) -> str:
    return f"{miss.rule} does not match: {miss.why}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )
