"""Where one of several processes becomes the leader: in the datastore that it is to write to.

etcd: a key with a lease. Kubernetes: a Lease. A file: a lock, which the kernel gives up with the
process and with nobody else.
"""

import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from tortie.controllers.leadership import Seat
from tortie.datastore import Datastore, DatastoreError, Unavailable
from tortie.datastore.settings import (
    DatastoreSettings,
    EtcdSettings,
    KubernetesSettings,
    SqliteSettings,
)

NAME = "calico-kube-controllers"


class FileSeat:
    """A lock on a file. It is held for as long as the process lives."""

    def __init__(self, path: str, seconds: int) -> None:
        self.seconds = seconds
        self._path = path
        self._file = -1

    async def take(self) -> str | None:
        """See `Seat.take`."""
        if self._file >= 0 and await self.renew():
            return None
        self._close()
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            return f"who has locked {self._path}"
        except OSError as error:
            raise Unavailable(f"{self._path} can't be locked: {error.strerror}") from None
        if await self.renew():
            return None
        self._close()
        return f"who made {self._path} anew"

    async def renew(self) -> bool:
        """See `Seat.renew`: a file that was removed is no lock to those who come after."""
        try:
            there = os.stat(self._path)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    async def give_up(self) -> None:
        """See `Seat.give_up`."""
        self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


class LonelySeat:
    """Nobody else can want it: a store of this process alone, or somebody said so."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    async def take(self) -> str | None:
        """See `Seat.take`."""
        return None

    async def renew(self) -> bool:
        """See `Seat.renew`."""
        return True

    async def give_up(self) -> None:
        """See `Seat.give_up`."""


@asynccontextmanager
async def opened_seat(
    settings: DatastoreSettings, holder: str, seconds: int, namespace: str
) -> AsyncIterator[Seat]:
    """The seat that belongs to a datastore, by a connection of its own: it waits for nobody."""
    match settings:
        case EtcdSettings():
            from tortie.datastore.etcd.connection import Connection
            from tortie.datastore.etcd.seats import EtcdSeat

            connection = Connection(settings)
            try:
                yield EtcdSeat(connection, NAME, holder, seconds)
            finally:
                await connection.close()
        case KubernetesSettings():
            from tortie.datastore.kubernetes.opened import opened_client, own_namespace
            from tortie.datastore.kubernetes.seats import KubernetesSeat

            async with opened_client(settings) as client:
                where = own_namespace(client, namespace)
                yield KubernetesSeat(client, NAME, holder, seconds, where)
        case SqliteSettings(path=path):
            yield FileSeat(f"{path}-controllers", seconds)
        case _:
            yield LonelySeat(seconds)


@asynccontextmanager
async def opened_fenced(
    settings: DatastoreSettings, seat: Seat, check: Callable[[], None], own: Datastore
) -> AsyncIterator[Datastore]:
    """The datastore for who has `seat` now: it refuses writes once somebody else has it.

    By the store's own transaction where it has any (etcd), else by `check` right before each
    request. Writes name the revision that they replace, so that one that was sent just before the
    end never undoes what the next leader does.

    A server is asked by a connection of its own. A file is not opened anew, `own` is what the
    process has open: where the file was removed meanwhile, an empty one would be made in its place.
    """
    from tortie.controllers.fenced import FencedStore

    match settings:
        case EtcdSettings() | KubernetesSettings():
            store = await _connected(settings, seat, check)
            try:
                yield FencedStore(store, check)
            finally:
                await store.close()
        case _:
            try:
                yield FencedStore(own, check)
            finally:
                with suppress(DatastoreError):  # it does one thing after the other: all is done now
                    await own.revision()


async def _connected(
    settings: EtcdSettings | KubernetesSettings, seat: Seat, check: Callable[[], None]
) -> Datastore:
    if isinstance(settings, KubernetesSettings):
        from tortie.datastore.kubernetes import KubernetesDatastore

        cluster = await KubernetesDatastore.open(settings)
        cluster.fence(check)
        return cluster
    from tortie.datastore.etcd import EtcdDatastore
    from tortie.datastore.etcd.seats import EtcdSeat

    store = await EtcdDatastore.open(settings)
    if isinstance(seat, EtcdSeat):
        store.fence(seat.fence)
    return store
