"""Remove what `tortie cni install` made on this host.

Files that somebody changed since stay, and are named. Pods keep running; none can start.
"""

import argparse

from tortie.cli.commands.cni_install import add_folders, settings_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where."""
    add_folders(parser)


def run(options: argparse.Namespace) -> int:
    """Remove, and say what."""
    from tortie.cli.placing import show
    from tortie.cni.installer.service import remove

    show(remove(settings_of(options)), options.output)
    return 0
