"""A seat that one process of all has: a key that goes with its holder's lease."""

from tortie.datastore.contract import DatastoreError
from tortie.datastore.etcd import requests
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.fencing import Fence
from tortie.datastore.etcd.leases import grant, keep_alive, new_number
from tortie.datastore.etcd.members import REVOKE, TXN

FOLDER = "/calico/tortie/v1/seats/"  # beside what is watched


class EtcdSeat:
    """The seat `name`; `holder` is what others call us. It is lost `seconds` after a last sign."""

    def __init__(self, connection: Connection, name: str, holder: str, seconds: int) -> None:
        self.seconds = seconds
        self._connection = connection
        self._path = f"{FOLDER}{name}".encode()
        self._holder = holder
        self._lease = 0
        self.fence = Fence(self._path, 0)
        """What our writes depend on, once the seat is ours."""

    async def take(self) -> str | None:
        """Sit down if nobody does; None: it is ours, else who has it. Raises DatastoreError."""
        if not self._lease or not await keep_alive(self._connection, self._lease, self.seconds):
            self._lease = await self._granted()
        request = requests.create(self._path, self._holder.encode(), self._lease)
        answer, _ = await self._connection.ask(TXN, request, f"take {self._path.decode()}")
        if answer.succeeded:
            self.fence = Fence(self._path, answer.header.revision)
            return None
        there = requests.found(answer)
        if there is None:
            return "nobody yet"
        if there.value != self._holder.encode():
            return str(there.value.decode(errors="replace"))
        return await self._regained(there)

    async def renew(self) -> bool:
        """Whether it is still ours. Raises DatastoreError where nobody says so."""
        left = await keep_alive(self._connection, self._lease, self.seconds)
        if left is None:
            raise DatastoreError("etcd does not answer")
        if left == 0:
            self._lease = 0
        return left > 0

    async def give_up(self) -> None:
        """Leave it to others at once. Raises DatastoreError."""
        lease, self._lease = self._lease, 0
        if lease:
            await self._connection.ask(REVOKE, pb.LeaseRevokeRequest(ID=lease), "leave a seat")

    async def _regained(self, there: pb.KeyValue) -> str | None:
        """Our own, by an answer that was lost or from before an outage: while its lease lasts."""
        if not await keep_alive(self._connection, there.lease, self.seconds):
            return "this process, until its earlier lease is over"
        self._lease = there.lease
        self.fence = Fence(self._path, there.create_revision)
        return None

    async def _granted(self) -> int:
        number = new_number()
        await grant(self._connection, number, self.seconds)
        return number
