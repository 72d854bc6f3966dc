"""Writes that are done only while a key is as its holder put it.

The condition is part of each transaction, so that no write of a process that has lost its seat is
done, however long it stood still between its decision and its request.
"""

from typing import Any, NamedTuple

from tortie.datastore.contract import NotLeading
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import ANSWER_SECONDS, Answer, Connection
from tortie.datastore.etcd.members import TXN, Method


class Fence(NamedTuple):
    """A key that must be there, made at this revision."""

    path: bytes
    created: int


class FencedConnection:
    """A connection whose transactions fail with NotLeading once the fence is gone."""

    def __init__(self, connection: Connection, fence: Fence) -> None:
        self._connection, self._fence = connection, fence

    async def ask(
        self, method: Method, request: Any, asked: str, seconds: float = ANSWER_SECONDS
    ) -> Answer:
        """See `Connection.ask`."""
        if method is not TXN or not request.compare:
            return await self._connection.ask(method, request, asked, seconds)
        answer = await self._connection.ask(method, self._fenced(request), asked, seconds)
        if not answer.message.succeeded:
            self._check(answer.message)
        return answer

    def _fenced(self, request: pb.TxnRequest) -> pb.TxnRequest:
        path, created = self._fence
        made = pb.Compare(target=pb.Compare.CREATE, key=path, create_revision=created)
        look = pb.RequestOp(request_range=pb.RangeRequest(key=path, keys_only=True))
        return pb.TxnRequest(
            compare=[*request.compare, made],
            success=request.success,
            failure=[*request.failure, look],
        )

    def _check(self, message: Any) -> None:
        """Take our own look out of the answer. Raises NotLeading if it says so."""
        found = message.responses.pop().response_range.kvs
        if not found or found[0].create_revision != self._fence.created:
            raise NotLeading("another process leads by now: nothing was written")
