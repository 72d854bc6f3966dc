"""As `__complete`, in the form in which kubectl asks a plugin: a directive of Cobra comes last."""

import argparse

from tortie.cli.commands import complete
from tortie.cli.completing import FILES

_OF_SHELL, _OURS_ONLY = ":0", ":4"  # ShellCompDirectiveDefault, ShellCompDirectiveNoFileComp


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words after the plugin's name."""
    complete.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print what the last word can become, and whether names of files can be it, too."""
    found = complete.found_for(options.words)
    lines = [_OF_SHELL] if found == FILES else [*found, _OURS_ONLY]
    print("\n".join(lines))
    return 0
