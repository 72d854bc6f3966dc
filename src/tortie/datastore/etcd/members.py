"""The members of a cluster and the calls that each answers."""

from typing import Any, NamedTuple

from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.endpoints import Endpoint, channel
from tortie.datastore.settings import EtcdSettings

Metadata = tuple[tuple[str, str], ...]


class Method(NamedTuple):
    """One call of etcd's API."""

    path: str
    answer: Any  # the message's class


RANGE = Method("/etcdserverpb.KV/Range", pb.RangeResponse)
TXN = Method("/etcdserverpb.KV/Txn", pb.TxnResponse)
COMPACT = Method("/etcdserverpb.KV/Compact", pb.CompactionResponse)
GRANT = Method("/etcdserverpb.Lease/LeaseGrant", pb.LeaseGrantResponse)
REVOKE = Method("/etcdserverpb.Lease/LeaseRevoke", pb.LeaseRevokeResponse)
KEEP_ALIVE = Method("/etcdserverpb.Lease/LeaseKeepAlive", pb.LeaseKeepAliveResponse)
AUTHENTICATE = Method("/etcdserverpb.Auth/Authenticate", pb.AuthenticateResponse)
WATCH = Method("/etcdserverpb.Watch/Watch", pb.WatchResponse)


class Member:
    """One member of the cluster, by its own channel."""

    def __init__(self, endpoint: Endpoint, settings: EtcdSettings) -> None:
        self.endpoint = endpoint
        self.channel = channel(endpoint, settings)
        self._calls: dict[Method, Any] = {}

    def call(self, method: Method) -> Any:
        """The method with one request and one answer."""
        return self._made(method, self.channel.unary_unary)

    def stream(self, method: Method) -> Any:
        """The method with many of both."""
        return self._made(method, self.channel.stream_stream)

    def _made(self, method: Method, shape: Any) -> Any:
        made = self._calls.get(method)
        if made is None:
            made = shape(method.path, _serialized, method.answer.FromString)
            self._calls[method] = made
        return made


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
