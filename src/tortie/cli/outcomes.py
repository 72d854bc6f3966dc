"""What became of each resource, for people and for machines."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tortie.api import KINDS, Key
from tortie.cli.selection import word_for
from tortie.cli.terminal import paint, plural, warn
from tortie.cli.writing import ABSENT, EXISTS, FAILED, Outcome

NO_SUCH = {ABSENT: "there is none"}
"""What `faulted` takes where an object has to be there."""
THERE_ALREADY = {EXISTS: "there is one already; apply or replace changes it"}
"""What `faulted` takes where there may be none yet."""

_STYLES = {
    "created": "green",
    "changed": "yellow",
    "deleted": "yellow",
    "going": "yellow",
    "unchanged": "dim",
}


def report(outcomes: Sequence[Outcome], output: str, previewed: bool = False) -> int:
    """Print a line for each, then the sum; status 1 where anything failed."""
    done = [outcome for outcome in outcomes if outcome.result != FAILED]
    if output == "json":
        print(_json(outcomes))
    elif output == "name":
        for outcome in done:
            print(word_for(outcome.key))
    else:
        for outcome in done:
            print(_line(outcome, previewed))
        _sum_up(outcomes)
    for outcome in outcomes:
        if outcome.result == FAILED:
            warn(f"{title(outcome.key)}: {outcome.error}")
    return 0 if len(done) == len(outcomes) else 1


def _line(outcome: Outcome, previewed: bool) -> str:
    would = "would be " if previewed else ""
    note = f": {outcome.note}" if outcome.note else ""
    return f"{title(outcome.key)}: {would}{paint(outcome.result, _style(outcome))}{note}"


def faulted(outcomes: Iterable[Outcome], faults: Mapping[str, str]) -> list[Outcome]:
    """The same, with the results of `faults` as failures with these reasons."""
    return [
        outcome._replace(result=FAILED, error=faults[outcome.result])
        if outcome.result in faults
        else outcome
        for outcome in outcomes
    ]


def title(key: Key) -> str:
    """ "NetworkPolicy shop/web": the kind as manifests write it."""
    return f"{KINDS[key.kind].manifest_kind} {'/'.join(filter(None, key[1:]))}"


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
        {
            **outcome.key._asdict(),
            "result": outcome.result,
            "error": outcome.error or None,
            **({"note": outcome.note} if outcome.note else {}),
        }
        for outcome in outcomes
    ]
    return msgspec.json.format(msgspec.json.encode(records), indent=2).decode()
