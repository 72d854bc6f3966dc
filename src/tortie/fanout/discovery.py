"""Where fan-out servers are: at one address, or behind a Kubernetes service."""

import random
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from tortie.api import Resource
from tortie.api.kube.endpoint_slice import EndpointSlice, ServiceEndpoint
from tortie.datastore import Datastore
from tortie.fanout.settings import FanoutClientSettings

PORT_NAME = "calico-typha"
PORT = 5473


class Server(NamedTuple):
    """One server; `node` is where it runs, "" where that is not known."""

    host: str
    port: int
    node: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


FindServers = Callable[[], Awaitable[list[Server]]]
"""The servers to try now, the best first. May raise DatastoreError or OSError."""


def find_servers(settings: FanoutClientSettings, store: Datastore, node: str) -> FindServers:
    """As the settings say: by address, else by service; `node` is where the client runs."""
    if settings.address is not None:
        return at_address(*settings.address)
    return behind_service(store, settings.service, settings.namespace, node)


def at_address(host: str, port: int) -> FindServers:
    """One address, whose name may stand for several servers."""

    async def find() -> list[Server]:
        return [Server(host, port)]

    return find


def behind_service(
    store: Datastore,
    service: str,
    namespace: str,
    node: str = "",
    port_name: str = PORT_NAME,
    shuffle: Callable[[list[Server]], None] = random.shuffle,
) -> FindServers:
    """The ready endpoints of a service, those on `node` first, the others in random order."""

    async def find() -> list[Server]:
        listing = await store.list("EndpointSlice", namespace)
        return in_order(endpoints(listing.resources, service, port_name), node, shuffle)

    return find


def endpoints(slices: Iterable[Resource], service: str, port_name: str) -> list[Server]:
    """The ready endpoints of a service, each once."""
    found = {
        server: None
        for piece in slices
        if isinstance(piece, EndpointSlice) and piece.service == service
        for server in _ready(piece, port_name)
    }
    return list(found)


def in_order(
    servers: list[Server], node: str, shuffle: Callable[[list[Server]], None] = random.shuffle
) -> list[Server]:
    """Those on `node` first, else as `shuffle` has it: clients must not all go to the same one."""
    mixed = list(servers)
    shuffle(mixed)
    return sorted(mixed, key=lambda server: not node or server.node != node)


def _ready(piece: EndpointSlice, port_name: str) -> Iterable[Server]:
    ports = [port.port for port in piece.ports if port.name == port_name and port.port]
    for endpoint in piece.endpoints:
        if ports and _takes_connections(endpoint):
            yield Server(endpoint.addresses[0], ports[0], endpoint.node_name)


def _takes_connections(endpoint: ServiceEndpoint) -> bool:
    return endpoint.conditions is None or endpoint.conditions.ready is not False
