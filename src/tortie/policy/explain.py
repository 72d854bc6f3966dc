"""A verdict as text for people, at most 80 columns wide."""

import textwrap
from collections.abc import Iterator

from tortie.policy.program import EndpointId
from tortie.policy.verdict import Direction, Miss, Outcome, Place, Stage, Step, Verdict

WIDTH = 80
MISSES_SHOWN = 10
_DEEP = " " * 6


def explain(verdict: Verdict) -> str:
    """The verdict, then each side with each stage: what decided, or why no rule did."""
    lines = list(_wrapped(f"{verdict.packet}: {'allowed' if verdict.allowed else 'denied'}", ""))
    side = None
    for step in verdict.steps:
        if side != (step.direction, step.endpoint, step.place):
            side = (step.direction, step.endpoint, step.place)
            lines += ["", *_wrapped(_side(step), "")]
        lines += _step(step)
    if not verdict.steps:
        lines += _wrapped("neither end is an endpoint here: no policy has a say", "  ")
    return "\n".join(lines)


def decisions(verdict: Verdict) -> Iterator[str]:
    """One line for each side: the stage that let the packet through, or stopped it."""
    for index, step in enumerate(verdict.steps):
        following = verdict.steps[index + 1 : index + 2]
        if not following or _end(following[0]) != _end(step):
            yield f"{step.direction} of {step.endpoint}: {_stage(step)}: {_result(step)}"
    if not verdict.steps:
        yield "neither end is an endpoint here: no policy has a say"


def _end(step: Step) -> tuple[Direction, EndpointId]:
    return step.direction, step.endpoint


def _step(step: Step) -> Iterator[str]:
    yield from _wrapped(f"{_stage(step)}: {_result(step)}", "  ")
    for rule in step.logged:
        yield from _wrapped(f"{rule} logs it", _DEEP)
    for miss in step.misses[:MISSES_SHOWN]:
        yield from _wrapped(_miss(miss), _DEEP)
    if len(step.misses) > MISSES_SHOWN:
        yield from _wrapped(f"… and {len(step.misses) - MISSES_SHOWN} rules more", _DEEP)


def _side(step: Step) -> str:
    if step.place is Place.WORKLOAD:
        return f"{step.direction} of {step.endpoint}"
    return f"{step.direction} of {step.endpoint}, host endpoint, {step.place} policy"


def _stage(step: Step) -> str:
    return f"{step.stage} {step.name}" if step.name else str(step.stage)


def _result(step: Step) -> str:
    if step.matched is not None:
        return f"{step.matched} {_VERBS[step.outcome]}"
    if step.place in (Place.UNTRACKED, Place.PRE_DNAT) and step.stage is Stage.TIER:
        return "no rule matched"
    if step.stage is Stage.TIER:
        action = "Deny" if step.outcome is Outcome.DENY else "Pass"
        return f"no rule matched, default action {action}"
    if step.stage is Stage.PROFILE:
        return "no rule matched"
    return f"{step.reason}: {_RESULTS[step.outcome]}"


_VERBS = {
    Outcome.ALLOW: "allows it",
    Outcome.DENY: "denies it",
    Outcome.NEXT: "passes it on",
}


_RESULTS = {
    Outcome.ALLOW: "allowed",
    Outcome.DENY: "denied",
    Outcome.NEXT: "passed on",
}


def _miss(miss: Miss) -> str:
    return f"{miss.rule} does not match: {miss.why}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )
