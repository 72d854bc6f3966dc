"""One watch over everything of ours, which goes on with another member when one falls silent.

One range and one watch, not one for each kind: etcd orders the events of one watch, and the
revision of the last one says how far all kinds are complete. Of several watches neither holds while
they catch up, and the progress that a client asks for is told ahead of the events by etcd before
3.4.25 and 3.5.8 (etcd's issue 15220; Debian has 3.4.23). So nothing here asks for progress; what
etcd tells on its own (`--experimental-watch-progress-notify-interval`) is in order.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import NamedTuple

import grpc
import grpc.aio

from tortie.datastore.contract import Batch, Closed, Gone, Rewound
from tortie.datastore.etcd import errors, reading, requests
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection, Patience
from tortie.datastore.etcd.layout import WATCHED
from tortie.datastore.etcd.members import RANGE, WATCH, Member, Metadata
from tortie.datastore.etcd.objects import event

_CHANGES = "watch /calico/ipam and /calico/resources"


class _Witness(NamedTuple):
    """What stood in one place at a revision: another life of the store has something else there."""

    path: bytes
    revision: int
    digest: int


async def watch(
    connection: Connection, kinds: Collection[str], since: int
) -> AsyncGenerator[Batch, None]:
    """See `Datastore.watch`. Ends when the connection is closed."""
    wanted = frozenset(kinds)
    patience, anew = connection.patience(), False
    witness: _Witness | None = None
    while not connection.closed:
        member = connection.member
        try:
            async with aclosing(_answers(connection, member, since, witness)) as answers:
                async for answer in answers:
                    # This member is fine: the next outage is a new one.
                    patience, anew = connection.long_patience(), False
                    batch = _batch(answer, wanted)
                    witness = _witness(answer) or witness
                    if batch.revision > since:
                        since = batch.revision
                        yield batch
        except grpc.RpcError as error:
            anew = await _overcome(connection, patience, member, error, anew)
        except Closed:
            return
        except (asyncio.CancelledError, grpc.aio.UsageError):
            if not connection.was_closed():
                raise


async def _overcome(
    connection: Connection, patience: Patience, member: Member, error: grpc.RpcError, anew: bool
) -> bool:
    """Make ready for another try. Gives whether that begins with a log-in; `anew`: this one did.

    Raises why there can be none.
    """
    if isinstance(error, _Ended) and error.is_refusal:
        if anew or not connection.forget_token(error.sent):
            raise errors.forbidden(connection.username, _CHANGES) from None
        return True  # a token that has run out looks like a right that is missing
    if not errors.is_outage(error):
        raise errors.refusal(error, connection.username, _CHANGES) from None
    await connection.endure(patience, member, error)
    return False


class _Ended(grpc.RpcError):
    """The member has ended the watch, in an answer."""

    def __init__(self, reason: str, sent: Metadata) -> None:
        super().__init__(reason)
        self._reason = reason
        self.sent = sent

    def code(self) -> grpc.StatusCode:
        """As of every failed call."""
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        """As of every failed call."""
        return self._reason

    @property
    def is_refusal(self) -> bool:
        """Whether it is for who we are."""
        return "permission denied" in self._reason or "auth token" in self._reason


async def _answers(
    connection: Connection, member: Member, since: int, witness: _Witness | None
) -> AsyncGenerator[pb.WatchResponse, None]:
    """What one member tells, put together from its fragments; an empty answer once it listens."""
    metadata = await connection.metadata(member)
    call = member.stream(WATCH)(metadata=metadata)
    with connection.ending(call):
        # A call that is cancelled before it is connected never lets its writer go.
        asking = asyncio.ensure_future(call.write(requests.watch(WATCHED, since)))
        with connection.ending(asking):
            await asking
        parts: list[pb.WatchResponse] = []
        while isinstance(answer := await call.read(), pb.WatchResponse):
            _check(connection, answer, since, metadata)
            if answer.created:
                await _check_history(connection, since)
                if witness is not None:
                    await _check_witness(connection, witness)
                answer = pb.WatchResponse()  # its revision is no promise about events
            parts.append(answer)
            if not answer.fragment:
                yield _whole(parts)
                parts = []
        raise _Ended("the member ended the watch", metadata)


def _check(
    connection: Connection,
    answer: pb.WatchResponse,
    since: int,
    sent: Metadata,
) -> None:
    """Raise why a watch can't go on, if so."""
    connection.note(answer.header)
    if answer.compact_revision:
        raise Gone(
            f"etcd's history begins at revision {answer.compact_revision}, the watch was at "
            f"{since}: list again, then watch from there"
        )
    if answer.canceled:
        raise _Ended(answer.cancel_reason, sent)


async def _check_history(connection: Connection, since: int) -> None:
    """Raise Gone unless everything after `since` is still there; Rewound in another life.

    etcd takes a watch that begins at the very revision of a compaction, though a deletion at that
    revision is gone; it takes one from the future too, and waits.
    """
    last = await reading.revision(connection, since)
    if since < connection.floor or since > last:
        raise Rewound(
            f"revision {since} is of another life of the store, which is at {last}: list again"
        )


async def _check_witness(connection: Connection, witness: _Witness) -> None:
    """Raise Rewound where another object was written at a revision than we were told.

    A copy that is put back may have the number of the cluster that it was taken from, and pass our
    revision before we are back. Each value of ours has a mark of its own, so none comes twice.
    """
    request = requests.read(witness.path)
    request.revision = witness.revision
    try:
        answer, _ = await connection.ask(RANGE, request, f"read {witness.path.decode()}")
    except Gone:
        return  # compacted: nobody knows any more
    if [_seen(kv) for kv in answer.kvs] != [witness]:
        raise Rewound(
            f"at revision {witness.revision} {witness.path.decode()} was another object: this is "
            "another life of the store, list again"
        )


def _seen(kv: pb.KeyValue) -> _Witness:
    return _Witness(kv.key, kv.mod_revision, hash(kv.value))


def _witness(answer: pb.WatchResponse) -> _Witness | None:
    """The last object that was written."""
    for change in reversed(answer.events):
        if change.type == pb.Event.PUT:
            return _seen(change.kv)
    return None


def _whole(parts: list[pb.WatchResponse]) -> pb.WatchResponse:
    first, *rest = parts
    for part in rest:
        first.MergeFrom(part)
    return first


def _batch(answer: pb.WatchResponse, kinds: frozenset[str]) -> Batch:
    """The events that were asked for.

    The header's revision may be ahead of the events while the watch catches up: it counts only
    where there are none.
    """
    changes = answer.events
    revision = changes[-1].kv.mod_revision if changes else answer.header.revision
    found = (event(change, kinds) for change in changes)
    return Batch(tuple(item for item in found if item is not None), revision)
