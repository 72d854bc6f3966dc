"""Print what the last of the words can become, one a line; shells call it.

`:files` alone stands for names of files, which shells know better.
"""

import argparse
from collections.abc import Sequence

from tortie.cli.completing import candidates
from tortie.cli.errors import message_for
from tortie.cli.main import TORTIE


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words after the program's name, the last of which is being written."""
    parser.prefix_chars = "\0"  # options among the words are not for us
    parser.add_argument("words", nargs="*")


def run(options: argparse.Namespace) -> int:
    """Print them; status 1 where there is nothing."""
    found = found_for(options.words)
    if found:
        print("\n".join(found))
    return 0 if found else 1


def found_for(words: Sequence[str]) -> list[str]:
    """What the last word can become; nothing where no datastore can say."""
    try:
        return candidates(TORTIE, words)
    except Exception as error:
        if message_for(error) is None:
            raise
        return []
