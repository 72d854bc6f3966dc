"""Look at this node's addresses again and again, and write what changed into its Node.

The agent does so by itself; this is for a node that has none. IP and IP6 say which addresses
(autodetect: by IP_AUTODETECTION_METHOD), AUTODETECT_POLL_INTERVAL how often (60s).
"""

import argparse
import asyncio
from functools import partial
from typing import TYPE_CHECKING

from tortie.cli import foreground, this_node
from tortie.cli.configuration import Chosen

if TYPE_CHECKING:  # the command line starts without them
    from tortie.node.start_settings import StartSettings

arguments = this_node.add_arguments


def run(options: argparse.Namespace) -> int:
    """Until a signal. Returns the exit status; errors are for people."""
    return foreground.ended("node monitor-addresses", partial(_run, options), ValueError)


def _run(options: argparse.Namespace) -> None:
    from tortie.daemon.log import configure_logs

    settings = this_node.settings_of(options)
    configure_logs(settings.log_level)
    asyncio.run(_monitor(settings, this_node.datastore_of(options)))


async def _monitor(settings: "StartSettings", chosen: Chosen) -> None:
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
