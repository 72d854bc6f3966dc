"""Several kinds and objects in one transaction."""

from collections.abc import Iterable, Sequence

from tortie.api import Key, Resource
from tortie.datastore.contract import DatastoreError, Malformed
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.layout import key_of, paths_of, spans
from tortie.datastore.etcd.members import TXN
from tortie.datastore.etcd.objects import read, read_sound
from tortie.datastore.together import Found, Together


async def read_in_one(
    connection: Connection, kinds: Sequence[str], keys: Sequence[Key]
) -> Together:
    """See `tortie.datastore.together`. Each key must have one place (all but claims to blocks)."""
    ranges = [
        *(
            pb.RangeRequest(key=span.start, range_end=span.end)
            for kind in kinds
            for span in spans(kind)
        ),
        *(pb.RangeRequest(key=path) for key in keys for path in paths_of(key)),
    ]
    request = pb.TxnRequest(success=[pb.RequestOp(request_range=one) for one in ranges])
    answer, _ = await connection.ask(TXN, request, f"read {', '.join((*kinds, *map(str, keys)))}")
    everything = [kv for part in answer.responses for kv in part.response_range.kvs]
    return Together(
        {kind: tuple(_of_kind(kind, everything)) for kind in kinds},
        {key: _found(key, everything) for key in keys},
    )


def _of_kind(kind: str, kvs: Iterable[pb.KeyValue]) -> Iterable[Resource]:
    for kv in kvs:
        key = key_of(kv.key)
        if key is not None and key.kind == kind:
            found = read(kv, key)
            if not isinstance(found, Malformed):
                yield found


def _found(key: Key, kvs: Iterable[pb.KeyValue]) -> Found:
    for kv in kvs:
        if key_of(kv.key) == key:
            try:
                return read_sound(kv, key)
            except DatastoreError as error:
                return error
    return None
