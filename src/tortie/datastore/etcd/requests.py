"""The transactions that we ask of etcd. Pure."""

from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.layout import Span


def read(path: bytes) -> pb.RangeRequest:
    """One object, as of the cluster's last write."""
    return pb.RangeRequest(key=path)


def read_any(paths: tuple[bytes, ...]) -> pb.TxnRequest:
    """Several places at one revision."""
    return pb.TxnRequest(success=[pb.RequestOp(request_range=read(path)) for path in paths])


def page(span: Span, start: bytes, size: int, revision: int) -> pb.RangeRequest:
    """At most `size` objects of a span from `start` on; `revision` 0 for the last one."""
    return pb.RangeRequest(key=start, range_end=span.end, limit=size, revision=revision)


def create(path: bytes, value: bytes, lease: int = 0) -> pb.TxnRequest:
    """Put an object where none is; answers with the one that is there otherwise."""
    absent = pb.Compare(target=pb.Compare.CREATE, key=path, create_revision=0)
    return _or_read(path, absent, pb.RequestOp(request_put=_put(path, value, lease)))


def replace(path: bytes, at: int, value: bytes, lease: int = 0) -> pb.TxnRequest:
    """Put in place of what was written at revision `at`; answers with what is there otherwise.

    A put without the object's lease would end that it goes with its lease.
    """
    return _or_read(path, _at(path, at), pb.RequestOp(request_put=_put(path, value, lease)))


def remove(path: bytes, at: int) -> pb.TxnRequest:
    """Delete what was written at revision `at`; answers with what is there otherwise."""
    delete = pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=path))
    return _or_read(path, _at(path, at), delete)


def watch(span: Span, after: int) -> pb.WatchRequest:
    """All changes of a span after a revision, and now and then how far that is complete."""
    return pb.WatchRequest(
        create_request=pb.WatchCreateRequest(
            key=span.start,
            range_end=span.end,
            start_revision=after + 1,
            progress_notify=True,
            fragment=True,
        )
    )


def found(answer: pb.TxnResponse) -> pb.KeyValue | None:
    """What a transaction's reads found first."""
    for response in answer.responses:
        for kv in response.response_range.kvs:
            return kv
    return None


def _at(path: bytes, revision: int) -> pb.Compare:
    return pb.Compare(target=pb.Compare.MOD, key=path, mod_revision=revision)


def _put(path: bytes, value: bytes, lease: int) -> pb.PutRequest:
    return pb.PutRequest(key=path, value=value, lease=lease)


def _or_read(path: bytes, condition: pb.Compare, act: pb.RequestOp) -> pb.TxnRequest:
    otherwise = pb.RequestOp(request_range=read(path))
    return pb.TxnRequest(compare=[condition], success=[act], failure=[otherwise])
