"""Run this node's BGP in the foreground: BIRD, configured from the cluster's resources.

On SIGTERM BIRD ends as for a restart: its peers and the kernel keep their routes meanwhile. Killed,
it leaves BIRD running, and the next `tortie bgp` finds it.
"""

import argparse
import asyncio
import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from tortie.bgp.places import FOLDER, RUN_DIR
from tortie.cli import configuration, foreground, this_node

if TYPE_CHECKING:  # the command line starts without them
    from tortie.bgp.settings import BgpSettings
    from tortie.fanout.settings import FanoutClientSettings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, which datastore, where its files are."""
    this_node.add_arguments(parser)
    parser.add_argument("--run-dir", metavar="DIR", help="where its socket is (TORTIE_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    """Run until a signal. Returns the exit status; errors are for people."""
    from tortie.agent.allegiance import OtherDatastore
    from tortie.agent.runlock import AlreadyRunning
    from tortie.bgp.bird import Unusable
    from tortie.bgp.settings import BgpSettingsError
    from tortie.fanout.environment import FanoutSettingsError

    expected = (BgpSettingsError, FanoutSettingsError, AlreadyRunning, Unusable, OtherDatastore)
    return foreground.ended("bgp", partial(_run, options), *expected)


def _run(options: argparse.Namespace) -> None:
    from tortie.agent.runlock import RunLock
    from tortie.bgp.settings import bgp_settings
    from tortie.daemon.log import configure_logs
    from tortie.fanout.settings import client_settings

    run_dir = options.run_dir or os.environ.get("TORTIE_RUN_DIR") or RUN_DIR
    node = options.node or os.environ.get("NODENAME") or socket.gethostname()
    settings = bgp_settings(os.environ, node)
    fanout = client_settings(os.environ)
    configure_logs("INFO")
    lock = RunLock(os.path.join(run_dir, FOLDER))
    try:
        asyncio.run(_serve(settings, fanout, this_node.datastore_of(options), run_dir))
    finally:
        lock.release()


async def _serve(
    settings: "BgpSettings",
    fanout: "FanoutClientSettings",
    chosen: configuration.Chosen,
    run_dir: str,
) -> None:
    from tortie.bgp.daemon import serve
    from tortie.datastore import open_datastore

    store = await open_datastore(chosen.settings)
    try:
        await serve(settings, fanout, store, run_dir, chosen.name, chosen.settings)
    finally:
        await store.close()
