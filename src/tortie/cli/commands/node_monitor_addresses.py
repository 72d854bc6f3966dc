"""Look at this node's addresses again and again, and write what changed into its Node.

The agent does so by itself; this is for a node that has none. IP and IP6 say which addresses
(autodetect: by IP_AUTODETECTION_METHOD), AUTODETECT_POLL_INTERVAL how often (60s).
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


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, which datastore."""
    parser.add_argument("--node", metavar="NAME", help="this node's name (NODENAME)")
    configuration.add_daemons_option(parser, "FELIX_")


def run(options: argparse.Namespace) -> int:
    """Until a signal. Returns the exit status; errors are for people."""
    from tortie.daemon.log import configure_logs
    from tortie.datastore import DatastoreError
    from tortie.node.start_settings import start_settings

    try:
        settings = start_settings(os.environ, options.node, socket.gethostname())
        configure_logs(settings.log_level)
        chosen = configuration.daemons_datastore(options.datastore, os.environ, "FELIX_")
        asyncio.run(_monitor(settings, chosen))
    except (DatastoreError, OSError, ValueError) as problem:
        print(f"tortie node monitor-addresses: {problem}", file=sys.stderr)
        return 1
    return 0


async def _monitor(settings: "StartSettings", chosen: configuration.Chosen) -> None:
    import structlog

    from tortie.daemon.running import run_until, stopped_by_signal
    from tortie.datastore import open_datastore
    from tortie.node.addressing import Addressing

    log = structlog.get_logger("tortie.node.addresses")
    if not settings.addresses.methods:
        raise ValueError('no address is to be found: set IP or IP6 to "autodetect"')
    store = await open_datastore(chosen.settings)
    addressing = Addressing(store, settings.node, settings.addresses, log.info, log.warning)
    try:
        await run_until(stopped_by_signal(), [addressing.run])
    finally:
        await store.close()
