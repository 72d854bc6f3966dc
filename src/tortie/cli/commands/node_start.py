"""Bring this node up, once, before its daemons: what calico-node's start-up does.

It writes the Node with its addresses, the cluster's default pools and settings, and the node's name
in a file for other programs; then it tells Kubernetes that the node has a network. It may run at
every start: what is right already stays.

Its variables are calico-node's: NODENAME, IP, IP6, IP_AUTODETECTION_METHOD, AS,
CALICO_NETWORKING_BACKEND, CALICO_IPV4POOL_*, CALICO_IPV6POOL_*, NO_DEFAULT_POOLS, CLUSTER_TYPE,
WAIT_FOR_DATASTORE and others (docs/node.md).
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
    """Start it. Returns the exit status; errors are for people."""
    from tortie.daemon.log import configure_logs
    from tortie.datastore import DatastoreError
    from tortie.node.addressing import AddressTaken
    from tortie.node.ranges import NoRange
    from tortie.node.start import NotStarted
    from tortie.node.start_settings import start_settings

    try:
        settings = start_settings(os.environ, options.node, socket.gethostname())
        configure_logs(settings.log_level)
        chosen = configuration.daemons_datastore(options.datastore, os.environ, "FELIX_")
        asyncio.run(_start(settings, chosen))
    except (DatastoreError, AddressTaken, NoRange, NotStarted, OSError, ValueError) as problem:
        print(f"tortie node start: {problem}", file=sys.stderr)
        return 1
    return 0


async def _start(settings: "StartSettings", chosen: configuration.Chosen) -> None:
    from contextlib import AsyncExitStack

    import structlog

    import tortie
    from tortie.datastore import open_datastore
    from tortie.datastore.settings import KubernetesSettings
    from tortie.node.machine import kubernetes_of
    from tortie.node.start import Start
    from tortie.node.variables import unread

    log = structlog.get_logger("tortie.node.start")
    log.info("starting", node=settings.node, datastore=chosen.name, chosen=chosen.origin)
    for line in unread(os.environ):
        log.warning(line)
    async with AsyncExitStack() as opened:
        store = await open_datastore(chosen.settings)
        opened.push_async_callback(store.close)
        api = kubernetes_of(chosen.settings)
        if api is not None:
            opened.push_async_callback(api.close)
        has_nodes_own = not isinstance(chosen.settings, KubernetesSettings)
        await Start(
            settings,
            os.environ,
            store,
            api,
            tortie.__version__,
            has_nodes_own,
            log.info,
            log.warning,
        ).run()
    log.info("started", node=settings.node)
