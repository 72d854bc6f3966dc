"""Run the cluster's controllers in the foreground: one or two of it in a cluster.

They give back addresses that pods and nodes left behind, and blocks that no node needs. Two at once
do no harm. KubeControllersConfiguration "default" has their settings: leakGracePeriod (15m),
healthChecks, prometheusMetricsPort (9094).
"""

import argparse
import asyncio
import os
import sys

from tortie.cli import configuration

HEALTH_PORT = 9440


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which datastore, and where its pages are."""
    configuration.add_daemons_option(parser, "KUBE_CONTROLLERS_")
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="of the pages (default: %(default)s)"
    )
    parser.add_argument(
        "--health-port",
        metavar="PORT",
        type=int,
        choices=range(1, 65536),
        default=HEALTH_PORT,
        help="of /liveness and /readiness (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run until a signal. Returns the exit status; errors are for people."""
    from tortie.daemon.log import configure_logs
    from tortie.datastore import DatastoreError

    try:
        chosen = configuration.daemons_datastore(options.datastore, os.environ, "KUBE_CONTROLLERS_")
        configure_logs("INFO")
        asyncio.run(_serve(chosen, options.host, options.health_port))
    except (DatastoreError, OSError) as problem:
        print(f"tortie controllers: {problem}", file=sys.stderr)
        return 1
    return 0


async def _serve(chosen: configuration.Chosen, host: str, health_port: int) -> None:
    from tortie.controllers.service import serve
    from tortie.controllers.settings import read_settings
    from tortie.daemon.log import set_severity
    from tortie.datastore import open_datastore

    store = await open_datastore(chosen.settings)
    try:
        settings = await read_settings(store)
        set_severity(settings.severity)
        await serve(settings, store, host, health_port)
    finally:
        await store.close()
