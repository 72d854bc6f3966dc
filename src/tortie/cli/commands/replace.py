"""Replace resources that are there by what the files say.

  tortie replace -f policy.yaml

A `resourceVersion` in a file must be the one that is stored: if the object has changed since, the
replacement fails, and nothing that somebody else wrote is lost.
"""

import argparse

from tortie.cli import filing, writing
from tortie.cli.outcomes import NO_SUCH
from tortie.cli.writing import ABSENT

_REASON = {ABSENT: f"{NO_SUCH[ABSENT]}; create or apply makes it"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and where to replace what they name."""
    filing.arguments(parser)
    parser.add_argument(
        "--skip-not-exists", action="store_true", help="what is not there is no failure"
    )


def run(options: argparse.Namespace) -> int:
    """Replace; status 1 where any document or resource could not be."""
    return filing.run(options, writing.replacing, {} if options.skip_not_exists else _REASON)
