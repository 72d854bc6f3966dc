"""Objects that go when their writer does."""

import asyncio
import random
from contextlib import suppress
from typing import Protocol

import grpc
import grpc.aio

from tortie.api import Resource
from tortie.datastore.contract import DatastoreError
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import ANSWER_SECONDS, Connection
from tortie.datastore.etcd.members import GRANT, KEEP_ALIVE, REVOKE


class Creator(Protocol):
    """What a lease needs of its store."""

    async def create(self, resource: Resource, lease: int = 0) -> Resource:
        """See `Datastore.create`; the object goes with the lease."""
        ...


def new_number() -> int:
    """Of a lease that nobody has: chosen here, so that asking for it twice is one lease."""
    return random.getrandbits(62) + 1


async def grant(connection: Connection, number: int, seconds: int) -> None:
    """Have the lease. Raises DatastoreError."""
    request = pb.LeaseGrantRequest(TTL=seconds, ID=number)
    try:
        await connection.ask(GRANT, request, "get a lease")
    except DatastoreError as error:
        if "lease already exists" not in str(error):  # an answer of ours that was lost
            raise


class Lease:
    """A promise to be heard of every `seconds`; what is created with it goes when it is broken.

    Use it as `async with await store.lease(seconds) as lease: await lease.create(resource)`. It is
    renewed three times in that span. At the end its objects are deleted at once. `lost` is set when
    it ran out all the same: the cluster was away for too long, or someone revoked it.
    """

    def __init__(self, connection: Connection, store: Creator, seconds: int) -> None:
        self.number = new_number()
        self.seconds = seconds
        self.lost = asyncio.Event()
        self._connection = connection
        self._store = store
        self._keeper: asyncio.Task[None] | None = None

    async def create(self, resource: Resource) -> Resource:
        """Store a new object that goes with the lease. Raises as `Datastore.create`."""
        return await self._store.create(resource, self.number)

    async def __aenter__(self) -> "Lease":
        await grant(self._connection, self.number, self.seconds)
        self._keeper = asyncio.ensure_future(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([self._keeper])
        if not self._connection.closed:
            with suppress(DatastoreError):  # else it runs out by itself
                request = pb.LeaseRevokeRequest(ID=self.number)
                await self._connection.ask(REVOKE, request, "end a lease")

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.seconds
        while loop.time() < until:
            await asyncio.sleep(self.seconds / 3)
            left = await self._renewed()
            if left == 0:
                break
            if left is not None:
                until = loop.time() + left
        self.lost.set()

    async def _renewed(self) -> int | None:
        return await keep_alive(self._connection, self.number, self.seconds)


async def keep_alive(connection: Connection, number: int, seconds: float) -> int | None:
    """The seconds that a lease of `seconds` has again; 0: it is gone; None: nobody answered."""
    member = connection.member
    limit = min(ANSWER_SECONDS, seconds / 3)
    try:
        metadata = await connection.metadata(member)
        call = member.stream(KEEP_ALIVE)(timeout=limit, metadata=metadata)
        await call.write(pb.LeaseKeepAliveRequest(ID=number))
        answer = await call.read()
        call.cancel()
    except (grpc.RpcError, DatastoreError):
        connection.pass_over(member)
        return None
    return None if not isinstance(answer, pb.LeaseKeepAliveResponse) else answer.TTL
