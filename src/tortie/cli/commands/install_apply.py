"""Install in a cluster, or upgrade what is installed there, and wait until all of it runs.

  tortie install apply --encap vxlan --typha 3
  tortie install apply --dry-run       the API server judges, nothing is written

Applied again it changes only what differs. An upgrade goes from node to node: kinds first, then one
agent after the other, each of which adopts the policy that is in force.
"""

import argparse
import asyncio
from typing import TYPE_CHECKING

from tortie.cli.commands.crds import release
from tortie.cli.errors import UserError
from tortie.cli.installing import add_choices, add_cluster, choices_of, cluster_of
from tortie.cli.terminal import plural, warn

if TYPE_CHECKING:  # the command line starts without them
    from tortie.datastore.settings import KubernetesSettings
    from tortie.install.cluster.server import Server
    from tortie.install.manifests.choices import Choices
    from tortie.install.manifests.objects import Object

_SECONDS = 600.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The choices, the cluster, and how long to wait."""
    add_choices(parser)
    add_cluster(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=_SECONDS,
        help="for all of it to run (default: %(default)g); 0 does not wait",
    )
    parser.add_argument(
        "--kubernetes",
        metavar="RELEASE",
        type=release,
        help="of the API server, where it does not say so itself",
    )
    parser.add_argument("--dry-run", action="store_true", help="have it judged, write nothing")


def run(options: argparse.Namespace) -> int:
    """Do it. Status 1 where it can't be, or does not run in time."""
    from tortie.install.cluster.applying import NotInstalled

    made, settings = choices_of(options), cluster_of(options)
    try:
        return asyncio.run(_run(options, made, settings))
    except NotInstalled as problem:
        raise UserError(str(problem)) from None


async def _run(options: argparse.Namespace, made: "Choices", settings: "KubernetesSettings") -> int:
    from tortie.cli.progress import shown_progress
    from tortie.install.cluster.applying import attempt, install, look
    from tortie.install.cluster.server import opened

    async with opened(settings) as server:
        looked = await look(server, made, await _secrets(server, made), options.kubernetes)
        for warning in looked.warnings:
            warn(warning)
        if options.dry_run:
            await attempt(server, looked.objects)
            print(f"{server.address} would take {plural(len(looked.objects), 'object')}")
            return 0
        with shown_progress() as progress:
            await install(server, looked.objects, progress, options.timeout)
        print(f"installed at {server.address}: {plural(len(looked.objects), 'object')}")
    return 0


async def _secrets(server: "Server", made: "Choices") -> "list[Object]":
    """New certificates where the cluster has none yet; those that it has stay."""
    if not made.typha:
        return []
    from tortie.install.certificates import new_certificates
    from tortie.install.manifests.objects import labelled
    from tortie.install.manifests.secrets import certificate_objects

    wanted = [labelled(each) for each in certificate_objects(new_certificates())]
    there = [await server.get(each) for each in wanted]
    return [] if all(there) else wanted
