"""Note that this node goes down in order, and tell Kubernetes that it has no network any more.

For a supervisor to run before it ends the daemons (preStop). What is programmed stays in force. The
time is kept in /var/lib/calico/shutdownTS (CALICO_SHUTDOWN_TIMESTAMP_FILE) until the next start.
"""

import argparse
import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING

from tortie.cli import foreground, this_node
from tortie.cli.configuration import Chosen

if TYPE_CHECKING:  # the command line starts without them
    from tortie.node.start_settings import StartSettings

_PATIENCE = 2.0  # seconds for Kubernetes: a node that goes down does not wait for it

arguments = this_node.add_arguments


def run(options: argparse.Namespace) -> int:
    """Do it. Status 1 where the file can't be written; what Kubernetes says is only told."""
    return foreground.ended("node shutdown", partial(_run, options), ValueError)


def _run(options: argparse.Namespace) -> None:
    from tortie.node.files import write_shutdown

    settings = this_node.settings_of(options)
    write_shutdown(settings.shutdown_file)
    if settings.is_networking:
        asyncio.run(_tell(settings, this_node.datastore_of(options)))


async def _tell(settings: "StartSettings", chosen: Chosen) -> None:
    from tortie.datastore import DatastoreError
    from tortie.node.api_server import kubernetes_of

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
