"""How many clients are one server's share: by the numbers of nodes and of servers.

The figure allows for one server that is just being replaced, and a fifth more: moving a client
costs a whole picture. Each node has a client for each stream.
"""

import asyncio
from collections.abc import Callable

import structlog

from tortie.datastore import Datastore, DatastoreError
from tortie.fanout.discovery import endpoints
from tortie.fanout.server_settings import ServerSettings

_STREAMS = 3
_SHORTEST = 1.0  # seconds between looks

_log = structlog.get_logger(__name__)


def share(servers: int, nodes: int, least: int, most: int) -> int:
    """The number of clients above which a server sends some to others."""
    if servers <= 1:
        return most
    fair = _STREAMS * (1 + nodes * 6 // (5 * (servers - 1)))
    return min(most, max(least, fair))


async def watch_share(
    store: Datastore, settings: ServerSettings, set_limit: Callable[[int], None]
) -> None:
    """Look at the cluster now and then, for ever; where it can't be seen, nobody is sent away."""
    before = settings.most_connections
    while True:
        try:
            limit = await _share_now(store, settings)
        except DatastoreError as error:
            _log.warning("can't see the cluster's size", problem=str(error))
            limit = settings.most_connections
        if limit != before:
            _log.info("new share of clients", clients=limit)
            set_limit(limit)
            before = limit
        await asyncio.sleep(max(_SHORTEST, settings.poll_interval))


async def _share_now(store: Datastore, settings: ServerSettings) -> int:
    slices = await store.list("EndpointSlice", settings.namespace)
    servers = len(endpoints(slices.resources, settings.service, settings.port_name))
    nodes = await store.list("Node")
    count = len(nodes.resources) + len(nodes.malformed)
    return share(servers, count, settings.least_limit, settings.most_connections)
