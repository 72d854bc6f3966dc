"""Create resources that are not there yet.

  tortie create -f policy.yaml
  tortie create -f policies/ --skip-exists

A resource that is there already is left as it is, and is a failure unless --skip-exists says
otherwise. A document with a mistake creates nothing.
"""

import argparse

from tortie.cli import filing, writing
from tortie.cli.outcomes import THERE_ALREADY


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and where to create what they say."""
    filing.arguments(parser)
    parser.add_argument(
        "--skip-exists", action="store_true", help="what is there already is no failure"
    )


def run(options: argparse.Namespace) -> int:
    """Create; status 1 where any document or resource could not be."""
    return filing.run(options, writing.creating, {} if options.skip_exists else THERE_ALREADY)
