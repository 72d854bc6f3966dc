"""A connection of one's own to an API server, beside the datastore's, that ends with its use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tortie.datastore.kubernetes.client import Client
from tortie.datastore.kubernetes.locating import find_access
from tortie.datastore.settings import KubernetesSettings


@asynccontextmanager
async def opened_client(settings: KubernetesSettings) -> AsyncIterator[Client]:
    """The client. Raises DatastoreError for what can never work."""
    client = Client(find_access(settings), settings.qps, settings.burst)
    try:
        yield client
    finally:
        await client.close()


def own_namespace(client: Client, given: str) -> str:
    """Where our Leases are: as told, in the namespace of our account, else with the system's."""
    return given or client.access.namespace or "kube-system"
