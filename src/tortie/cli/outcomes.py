"""What became of each resource, for people and for machines."""

from collections import Counter
from collections.abc import Sequence

from tortie.api import KINDS
from tortie.cli.terminal import paint, plural, warn
from tortie.cli.writing import FAILED, Outcome

_STYLES = {"created": "green", "changed": "yellow", "deleted": "yellow", "unchanged": "dim"}


def report(outcomes: Sequence[Outcome], output: str, previewed: bool = False) -> int:
    """Print a line for each, then the sum; status 1 where anything failed."""
    if output == "json":
        print(_json(outcomes))
    else:
        for outcome in outcomes:
            if outcome.result != FAILED:
                would = "would be " if previewed else ""
                print(f"{title(outcome)}: {would}{paint(outcome.result, _style(outcome))}")
        _sum_up(outcomes)
    for outcome in outcomes:
        if outcome.result == FAILED:
            warn(f"{title(outcome)}: {outcome.error}")
    return 1 if any(outcome.result == FAILED for outcome in outcomes) else 0


def title(outcome: Outcome) -> str:
    """ "NetworkPolicy shop/web": the kind as manifests write it."""
    kind = KINDS[outcome.key.kind].manifest_kind
    return f"{kind} {'/'.join(filter(None, outcome.key[1:]))}"


def _style(outcome: Outcome) -> str:
    return _STYLES.get(outcome.result, "dim")


def _sum_up(outcomes: Sequence[Outcome]) -> None:
    if len(outcomes) > 1:
        counts = Counter(outcome.result for outcome in outcomes)
        parts = ", ".join(f"{count} {result}" for result, count in counts.items())
        print(f"{plural(len(outcomes), 'resource')}: {parts}")


def _json(outcomes: Sequence[Outcome]) -> str:
    import msgspec

    records = [
        {**outcome.key._asdict(), "result": outcome.result, "error": outcome.error or None}
        for outcome in outcomes
    ]
    return msgspec.json.format(msgspec.json.encode(records), indent=2).decode()
