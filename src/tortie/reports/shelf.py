"""Where reports lie: beside what is watched, in whichever datastore the cluster has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from tortie.datastore.settings import (
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    SqliteSettings,
)
from tortie.reports.report import Report

FORGOTTEN = 24 * 3600  # seconds after which etcd drops what nobody says any more


class Shelf(Protocol):
    """Reports by node and component."""

    async def put(self, report: Report) -> None:
        """In place of the one of the same node and component. Raises DatastoreError."""
        ...

    async def all(self) -> list[Report]:
        """Every report that can be read. Raises DatastoreError."""
        ...


class NoShelf:
    """A datastore of one process alone: nobody else could read it."""

    async def put(self, report: Report) -> None:
        """Nothing."""

    async def all(self) -> list[Report]:
        """None."""
        return []


@asynccontextmanager
async def opened_shelf(settings: DatastoreSettings, namespace: str = "") -> AsyncIterator[Shelf]:
    """The shelf of a datastore, by a connection of its own. Raises DatastoreError.

    `namespace` is where Kubernetes' Leases are made; "": the one of our account, or kube-system.
    """
    match settings:
        case EtcdSettings():
            from tortie.datastore.etcd.connection import Connection
            from tortie.reports.etcd import EtcdShelf

            connection = Connection(settings)
            try:
                yield EtcdShelf(connection, FORGOTTEN)
            finally:
                await connection.close()
        case KubernetesSettings():
            from tortie.datastore.kubernetes.opened import opened_client, own_namespace
            from tortie.reports.kubernetes import KubernetesShelf

            async with opened_client(settings) as client:
                yield KubernetesShelf(client, own_namespace(client, namespace))
        case SqliteSettings(path=path):
            from tortie.reports.files import FileShelf

            yield FileShelf(f"{path}-reports")
        case _:
            yield NoShelf()
