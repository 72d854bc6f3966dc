"""Lock a datastore, so that it can be exported.

  tortie datastore migrate lock

While it is locked, pods are neither attached nor detached (their runtime tries again), no addresses
are given out or taken back, and agents that start wait. Agents that run go on with the policy that
they have. Locking twice does nothing.
"""

import argparse

from tortie.cli.migrating import add_options, run_on


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which datastore."""
    add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Lock it, and say what follows."""
    import tortie
    from tortie.datastore import Datastore
    from tortie.datastore.migrate.locking import lock

    async def work(store: Datastore) -> int:
        changed = await lock(store, tortie.__version__)
        print("the datastore is locked" if changed else "the datastore was locked already")
        print("next: tortie datastore migrate export > FILE; or unlock, to let it change again")
        return 0

    return run_on(options, work)
