"""Say whether this node's daemons live and are ready, for a supervisor's probes.

tortie node health --felix-live --bird-live       # livenessProbe
tortie node health --felix-ready --bird-ready     # readinessProbe

The flags are those of calico-node's `health`; several are all checked. Status 1 where one fails,
with a line for each that does.
"""

import argparse
import os
import re
import sys

from tortie.cli.asking import run_dir_of
from tortie.cli.errors import UserError

_CHECKS = {
    "felix-live": "the agent moves",
    "felix-ready": "the agent does its job",
    "bird-live": "BIRD answers",
    "bird-ready": "BIRD has its sessions over IPv4",
    "bird6-live": "BIRD answers (one BIRD speaks both)",
    "bird6-ready": "BIRD has its sessions over IPv6",
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to check, and where."""
    for name, summary in _CHECKS.items():
        parser.add_argument(f"--{name}", f"-{name}", action="store_true", help=summary)
    parser.add_argument(
        "--threshold-time",
        "-threshold-time",
        metavar="TIME",
        default="30s",
        help="so long after its start BIRD is ready only with all its sessions (default: 30s)",
    )
    parser.add_argument("--run-dir", metavar="DIR", help="the daemons' (TORTIE_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    """Check. Status 1 where anything fails."""
    from datetime import datetime

    from tortie.node.probes import places, problems

    asked = [name for name in _CHECKS if getattr(options, name.replace("-", "_"))]
    if not asked:
        raise UserError(f"say what to check: {', '.join(f'--{name}' for name in _CHECKS)}")
    threshold = _seconds(options.threshold_time)
    try:
        where = places(os.environ, run_dir_of(options.run_dir))
    except ValueError as problem:
        raise UserError(str(problem)) from None
    found = problems(where, asked, threshold, datetime.now())
    for check, reason in found:
        print(f"{check}: {reason}", file=sys.stderr)
    return 1 if found else 0


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UserError(f"--threshold-time is {text!r}: use a time such as 30s or 2m")
    return float(match[1]) * _SECONDS[match[2]]
