"""Note that this node goes down in order, and tell Kubernetes that it has no network any more.

For a supervisor to run before it ends the daemons (preStop). What is programmed stays in force. The
time is kept in /var/lib/calico/shutdownTS (CALICO_SHUTDOWN_TIMESTAMP_FILE) until the next start.
"""

import argparse
import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING

from tortie.cli import configuration

if TYPE_CHECKING:  # the command line starts without them
    from tortie.node.start_settings import StartSettings

_PATIENCE = 2.0  # seconds for Kubernetes: a node that goes down does not wait for it


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, which datastore."""
    parser.add_argument("--node", metavar="NAME", help="this node's name (NODENAME)")
    configuration.add_daemons_option(parser, "FELIX_")


def run(options: argparse.Namespace) -> int:
    """Do it. Status 1 where the file can't be written; what Kubernetes says is only told."""
    from tortie.datastore import DatastoreError
    from tortie.node.files import write_shutdown
    from tortie.node.start_settings import start_settings

    try:
        settings = start_settings(os.environ, options.node, socket.gethostname())
        write_shutdown(settings.shutdown_file)
        if settings.is_networking:
            chosen = configuration.daemons_datastore(options.datastore, os.environ, "FELIX_")
            asyncio.run(_tell(settings, chosen))
    except (DatastoreError, OSError, ValueError) as problem:
        print(f"tortie node shutdown: {problem}", file=sys.stderr)
        return 1
    return 0


async def _tell(settings: "StartSettings", chosen: configuration.Chosen) -> None:
    from tortie.datastore import DatastoreError
    from tortie.node.machine import kubernetes_of

    api = kubernetes_of(chosen.settings)
    if api is None:
        return
    name = settings.kubernetes_name
    try:
        async with asyncio.timeout(_PATIENCE):
            await api.network_unavailable(name, True)
    except (DatastoreError, TimeoutError) as problem:
        why = str(problem) or f"no answer within {_PATIENCE:g} s"
        print(
            f"tortie node shutdown: the condition NetworkUnavailable of Node {name} can't be set:"
            f" {why}",
            file=sys.stderr,
        )
    finally:
        await api.close()
