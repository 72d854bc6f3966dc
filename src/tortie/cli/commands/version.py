"""Print the version."""

import argparse

import tortie


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes `-o json` for machines."""
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    if options.output == "json":
        print(f'{{"version": "{tortie.__version__}"}}')
    else:
        print(f"tortie {tortie.__version__}")
    return 0
