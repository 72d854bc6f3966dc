"""Take a lab down: its processes end, its namespaces go, its directory is removed.

Works on what is there, also after `tortie lab up` was killed half way.
"""

import argparse

from tortie.cli.labs import add_name_option
from tortie.cli.terminal import plural, warn
from tortie.lab.cluster import take_down
from tortie.lab.journal import Journal, exclusive, no_such_lab
from tortie.lab.requirements import check_requirements


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    add_name_option(parser)


def run(options: argparse.Namespace) -> int:
    """Take it down."""
    check_requirements()
    name = options.name
    with exclusive(name, lambda: warn(f"another command is changing lab {name!r}; waiting")):
        journal = Journal(name)
        if not journal.path.exists():
            raise no_such_lab(name)
        processes, namespaces = len(journal.processes()), len(journal.namespaces())
        take_down(journal)
    print(
        f"lab {name!r} is down: {plural(processes, 'process')} ended,"
        f" {plural(namespaces, 'namespace')} removed"
    )
    return 0
