"""Remove from a cluster what `tortie install` made there, and nothing else.

  tortie uninstall --dry-run        what would go
  tortie uninstall --yes            policies, pools and addresses stay
  tortie uninstall --yes --delete-data

Nodes keep the policy and the routes that are in force until `tortie node reset` is run there, or
they start anew.
"""

import argparse
import asyncio
from typing import TYPE_CHECKING

from tortie.cli.errors import UserError
from tortie.cli.installing import add_cluster, cluster_of
from tortie.cli.terminal import plural

if TYPE_CHECKING:  # the command line starts without them
    from tortie.datastore.settings import KubernetesSettings
    from tortie.install.cluster.removing import Found


def arguments(parser: argparse.ArgumentParser) -> None:
    """The cluster, and how much of it."""
    add_cluster(parser)
    parser.add_argument("--yes", action="store_true", help="do it; else it only says what would go")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument(
        "--delete-data",
        action="store_true",
        help="also people's resources: policies, pools, addresses, and their kinds",
    )


def run(options: argparse.Namespace) -> int:
    """Do it."""
    return asyncio.run(_run(options, cluster_of(options)))


async def _run(options: argparse.Namespace, settings: "KubernetesSettings") -> int:
    from tortie.cli.progress import shown_progress
    from tortie.install.cluster.removing import find, remove
    from tortie.install.cluster.server import opened

    async with opened(settings) as server:
        found = await find(server, with_data=options.delete_data)
        if not any(found):
            print(f"nothing of ours is at {server.address}")
            return 0
        if options.dry_run or not options.yes:
            return _say(found, server.address, options.dry_run)
        with shown_progress() as progress:
            await remove(server, found, progress)
        print(f"removed from {server.address}; on each node: tortie node reset --yes")
    return 0


def _say(found: "Found", address: str, dry_run: bool) -> int:
    from tortie.install.manifests.objects import name_of

    for each in found.installed:
        print(name_of(each))
    for each in found.kinds:
        print(f"{name_of(each)} with all its objects")
    for each in found.nodes:
        print(f"{name_of(each)}: our annotations")
    if not dry_run:
        count = plural(sum(map(len, found)), "object")
        raise UserError(f"that would be removed from {address} ({count}): say --yes to do it")
    return 0
