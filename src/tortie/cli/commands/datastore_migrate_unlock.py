"""Unlock a datastore.

  tortie datastore migrate unlock

Agents that wait begin to follow it, and pods are attached again. Do it once the nodes use this
datastore, or to give a migration up. A datastore with half an import in it stays locked.
"""

import argparse

from tortie.cli.migrating import add_options, run_on


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which datastore."""
    add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Unlock it, and say what follows."""
    from tortie.datastore import Datastore
    from tortie.datastore.migrate.locking import unlock

    async def work(store: Datastore) -> int:
        changed = await unlock(store)
        print("the datastore is unlocked" if changed else "the datastore was not locked")
        print("agents that waited follow it now; runtimes attach waiting pods at their next try")
        return 0

    return run_on(options, work)
