"""Try who reaches whom: everybody calls everybody, on every declared port, at once.

tortie lab probe                         a table
tortie lab probe --expect truth.yaml     and compare; status 1 on any mismatch
tortie lab probe -o truth > truth.yaml   what is, as a file to be expected
"""

import argparse
import asyncio
from pathlib import Path

from tortie.cli.labs import add_name_option, using
from tortie.cli.matrices import print_legend, print_matrix, report_mismatches
from tortie.lab.cluster import Lab
from tortie.lab.judging import Judgement, judge
from tortie.lab.matrix import as_records
from tortie.lab.picture import grids
from tortie.lab.probing import PROBE_TIMEOUT
from tortie.lab.truth import Mismatch, Truth, parse_truth


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to compare with, and how to show it."""
    parser.add_argument("--expect", metavar="FILE", type=Path, help="a truth file")
    parser.add_argument("--timeout", type=float, default=PROBE_TIMEOUT, metavar="SECONDS")
    parser.add_argument("--ip", type=int, choices=(4, 6), default=0, help="of pods with both")
    parser.add_argument("-o", "--output", choices=("table", "json", "truth"), default="table")
    add_name_option(parser)


def run(options: argparse.Namespace) -> int:
    """Probe; status 1 where anything is not as expected."""
    return asyncio.run(_probe(options))


async def _probe(options: argparse.Namespace) -> int:
    truth = parse_truth(str(options.expect), options.expect.read_text()) if options.expect else None
    async with using(options.name) as lab:
        found = await _found(lab, truth, options.timeout, options.ip)
    if options.output == "json":
        import msgspec

        content = {
            "probes": as_records(found.matrix),
            "mismatches": [_record(m) for m in found.wrong],
        }
        print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
    elif options.output == "truth":
        print(grids(found.matrix), end="")
    else:
        print_matrix(found.matrix)
        print_legend(found.matrix)
    if truth and options.output == "table":
        report_mismatches(found.checked, found.wrong)
    return 1 if found.wrong else 0


async def _found(lab: Lab, truth: Truth | None, patience: float, version: int) -> Judgement:
    if truth is None:
        return Judgement(await lab.probe(patience, version), 0, [])
    return await judge(lab, truth, patience, version)


def _record(mismatch: Mismatch) -> dict[str, object]:
    flow = mismatch.flow
    return {
        "from": flow.source,
        "to": flow.destination,
        "port": str(flow.port),
        "expected": mismatch.expected,
        "answeredBy": mismatch.answered_by or None,
    }
