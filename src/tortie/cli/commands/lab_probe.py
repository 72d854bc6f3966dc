"""Try who reaches whom: everybody calls everybody, on every declared port, all at once.

tortie lab probe                          a table
tortie lab probe --expect truth.yaml      and compare; status 1 on any mismatch
tortie lab probe -o truth > truth.yaml    what is, as a file to be expected
"""

import argparse
import asyncio
from pathlib import Path

from tortie.cli.labs import add_name_option, using
from tortie.cli.matrices import print_legend, print_matrix, report_mismatches
from tortie.lab.matrix import as_records
from tortie.lab.picture import grids
from tortie.lab.probing import PROBE_TIMEOUT
from tortie.lab.truth import Mismatch, compare, parse_truth


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to compare with, and how to show it."""
    parser.add_argument("--expect", metavar="FILE", type=Path, help="a truth file")
    parser.add_argument("--timeout", type=float, default=PROBE_TIMEOUT, metavar="SECONDS")
    parser.add_argument("-o", "--output", choices=("table", "json", "truth"), default="table")
    add_name_option(parser)


def run(options: argparse.Namespace) -> int:
    """Probe; status 1 where anything is not as expected."""
    return asyncio.run(_probe(options))


async def _probe(options: argparse.Namespace) -> int:
    truth = parse_truth(str(options.expect), options.expect.read_text()) if options.expect else None
    async with using(options.name) as lab:
        matrix = await lab.probe(options.timeout)
    checked, wrong = compare(truth, matrix) if truth else (0, list[Mismatch]())
    if options.output == "json":
        import msgspec

        content = {"probes": as_records(matrix), "mismatches": [_record(m) for m in wrong]}
        print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
    elif options.output == "truth":
        print(grids(matrix), end="")
    else:
        print_matrix(matrix)
        print_legend(matrix)
    if truth and options.output == "table":
        report_mismatches(checked, wrong)
    return 1 if wrong else 0


def _record(mismatch: Mismatch) -> dict[str, object]:
    flow = mismatch.flow
    return {
        "from": flow.source,
        "to": flow.destination,
        "port": str(flow.port),
        "expected": mismatch.expected,
        "answeredBy": mismatch.answered_by or None,
    }
