"""Check what must hold: these must reach those, these must not.

  tortie verify -f assertions.yaml                      against the datastore
  tortie verify -f assertions.yaml --manifests policy/  against files alone

    allowed:
      - {from: shop/web-*, to: shop/api, ports: [8080/tcp]}
    denied:
      - from: [guest/*, outside]
        to: {namespace: shop, selector: "role == 'data'"}

Status 0 if all hold, 2 if one is broken (with the rule that breaks it), 1 where
anything is wrong.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from typing import Any

from tortie.cli import configuration, selection, whatif
from tortie.cli.errors import UserError
from tortie.cli.terminal import paint, plural
from tortie.trace.assertions import (
    Assertion,
    BadAssertions,
    Broken,
    Outcome,
    read_assertions,
    verify,
)
from tortie.trace.cluster import Cluster
from tortie.trace.tracing import because

HOLDS, BROKEN = 0, 2
SHOWN = 5  # broken connections of one assertion that are told of


def arguments(parser: argparse.ArgumentParser) -> None:
    """The assertions, and the cluster."""
    parser.add_argument(
        "-f",
        "--filename",
        dest="assertions",
        metavar="FILE",
        action="append",
        required=True,
        help="a file of assertions, or - for stdin; may be repeated",
    )
    parser.add_argument(
        "-m",
        "--manifests",
        dest="filename",
        metavar="FILE",
        action="append",
        default=[],
        help="a cluster of manifests instead of a datastore: a file or a directory",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    selection.add_namespace_options(parser, everywhere=False)
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Judge them all. Raises UserError, DatastoreError."""
    try:
        assertions = [each for path in options.assertions for each in _read(path)]
        cluster = whatif.cluster_from(options)
        outcomes = list(verify(cluster, assertions))
    except BadAssertions as error:
        raise UserError(str(error)) from None
    if options.output == "json":
        print(json.dumps([_data(cluster, outcome) for outcome in outcomes], indent=2))
    else:
        print("\n".join(_lines(cluster, outcomes)))
    return BROKEN if any(outcome.broken for outcome in outcomes) else HOLDS


def _read(path: str) -> list[Assertion]:
    return read_assertions(path, whatif.file_text(path))


def _lines(cluster: Cluster, outcomes: Iterable[Outcome]) -> Iterator[str]:
    held = total = 0
    for outcome in outcomes:
        total += 1
        held += not outcome.broken
        yield _head(outcome)
        told = list({_reasons(cluster, broken): None for broken in outcome.broken})
        for reasons in told[:SHOWN]:
            yield from reasons
        if len(told) > SHOWN:
            yield f"    and {plural(len(told) - SHOWN, 'connection')} more"
    yield f"{held} of {total} assertions hold"


def _head(outcome: Outcome) -> str:
    kind = "allowed" if outcome.assertion.allowed else "denied"
    judged = plural(outcome.checked, "connection")
    if not outcome.broken:
        return f"{paint('ok', 'green')}      {kind}: {outcome.assertion} ({judged})"
    wrong = f"{len(outcome.broken)} of {judged}"
    return f"{paint('broken', 'red')}  {kind}: {outcome.assertion} ({wrong} wrong)"


def _reasons(cluster: Cluster, broken: Broken) -> tuple[str, ...]:
    passes = "passes" if broken.verdict.allowed else "does not pass"
    head = f"    {broken.source} -> {broken.destination}, {broken.port}: it {passes}"
    return (head, *(f"      {text}" for text in because(cluster, broken.verdict)))


def _data(cluster: Cluster, outcome: Outcome) -> dict[str, Any]:
    return {
        "assertion": str(outcome.assertion),
        "where": outcome.assertion.where,
        "expected": "allowed" if outcome.assertion.allowed else "denied",
        "connections": outcome.checked,
        "holds": not outcome.broken,
        "broken": [
            {
                "from": broken.source,
                "to": broken.destination,
                "port": str(broken.port),
                "allowed": broken.verdict.allowed,
                "because": because(cluster, broken.verdict),
            }
            for broken in outcome.broken
        ],
    }
