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
from functools import partial
from typing import TYPE_CHECKING

from tortie.cli import foreground, this_node
from tortie.cli.configuration import Chosen

if TYPE_CHECKING:  # the command line starts without them
    from tortie.node.start_settings import StartSettings

arguments = this_node.add_arguments


def run(options: argparse.Namespace) -> int:
    """Start it. Returns the exit status; errors are for people."""
    from tortie.node.addressing import AddressTaken
    from tortie.node.ranges import NoRange
    from tortie.node.start import NotStarted

    work = partial(_run, options)
    return foreground.ended("node start", work, AddressTaken, NoRange, NotStarted, ValueError)


def _run(options: argparse.Namespace) -> None:
    from tortie.daemon.log import configure_logs

    settings = this_node.settings_of(options)
    configure_logs(settings.log_level)
    asyncio.run(_start(settings, this_node.datastore_of(options)))


async def _start(settings: "StartSettings", chosen: Chosen) -> None:
    from contextlib import AsyncExitStack

    import structlog

    import tortie
    from tortie.datastore import open_datastore
    from tortie.datastore.settings import KubernetesSettings
    from tortie.node.api_server import kubernetes_of
    from tortie.node.start import Start
    from tortie.node.variables import doubtful, unread

    log = structlog.get_logger("tortie.node.start")
    log.info("starting", node=settings.node, datastore=chosen.name, chosen=chosen.origin)
    for line in (*unread(os.environ), *doubtful(os.environ)):
        log.warning(line)
    has_own = not isinstance(chosen.settings, KubernetesSettings)
    async with AsyncExitStack() as opened:
        store = await open_datastore(chosen.settings)
        opened.push_async_callback(store.close)
        api = kubernetes_of(chosen.settings)
        if api is not None:
            opened.push_async_callback(api.close)
        given = (settings, os.environ, store, api, tortie.__version__, has_own)
        await Start(*given, log.info, log.warning).run()
    log.info("started", node=settings.node)
