"""Print what the last of the words can become, one a line; shells call it.

`:files` alone stands for names of files, which shells know better.
"""

import argparse

from tortie.cli.completing import candidates
from tortie.cli.errors import message_for
from tortie.cli.main import TORTIE


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words after the program's name, the last of which is being written."""
    parser.prefix_chars = "\0"  # options among the words are not for us
    parser.add_argument("words", nargs="*")


def run(options: argparse.Namespace) -> int:
    """Print them; nothing where the words make no sense, or there is no datastore."""
    try:
        found = candidates(TORTIE, options.words)
    except Exception as error:
        if message_for(error) is None:
            raise
        return 1
    print("\n".join(found))
    return 0
