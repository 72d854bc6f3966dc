"""Make resources be as the files say: create what is missing, replace what differs.

  tortie apply -f policy.yaml -f more/ -R  files, directories
  tortie get np -o yaml | tortie apply -f -
  tortie apply -f policy.yaml --dry-run    what would happen (or `tortie diff`)

A document with a mistake is not applied, and its mistake is told; others are.
"""

import argparse

from tortie.cli import filing, writing


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and where to apply them."""
    filing.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Apply; status 1 where any document or resource could not be."""
    return filing.run(options, writing.applying, {})
