"""etcd as a backend of the contract's tests: a server of its own for each of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from servers.etcd import MISSING, EtcdServer, etcd_server
from strategies.datastore import Ability
from tortie.api import Key
from tortie.datastore import Datastore
from tortie.datastore.etcd import EtcdDatastore
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.layout import paths_of


class Raw:
    """Another program at an etcd without TLS: bytes under keys, nothing else."""

    def __init__(self, endpoint: str) -> None:
        target = endpoint.removeprefix("http://")
        self._channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])

    def put(self, path: bytes, value: bytes) -> int:
        """Write; gives the revision."""
        answer = self._ask("KV/Put", pb.PutRequest(key=path, value=value), pb.PutResponse)
        revision: int = answer.header.revision
        return revision

    def get(self, path: bytes) -> bytes:
        """What is there; fails for nothing."""
        answer = self._ask("KV/Range", pb.RangeRequest(key=path), pb.RangeResponse)
        value: bytes = answer.kvs[0].value
        return value

    def paths(self) -> list[bytes]:
        """All keys there are."""
        everything = pb.RangeRequest(key=b"\0", range_end=b"\0", keys_only=True)
        return [kv.key for kv in self._ask("KV/Range", everything, pb.RangeResponse).kvs]

    def close(self) -> None:
        self._channel.close()

    def _ask(self, method: str, request: Any, answer: Any) -> Any:
        serializer, parser = type(request).SerializeToString, answer.FromString
        call = self._channel.unary_unary(f"/etcdserverpb.{method}", serializer, parser)
        return call(request, timeout=10)


class Etcd:
    """Stores in one server, into which `Raw` looks as another program."""

    cannot: Mapping[Ability, str] = {}

    def __init__(self, server: EtcdServer, raw: Raw) -> None:
        self.server = server
        self.raw = raw

    async def open(self) -> Datastore:
        return await EtcdDatastore.open(self.server.client)

    async def damage(self, store: Datastore, key: Key, value: bytes) -> None:  # noqa: ARG002
        self.raw.put(paths_of(key)[0], value)

    async def stored(self, store: Datastore, key: Key) -> bytes:  # noqa: ARG002
        return self.raw.get(paths_of(key)[0])

    async def compact(self, store: Datastore) -> None:
        assert isinstance(store, EtcdDatastore)
        await store.compact(await store.revision())


@contextmanager
def backend(request: pytest.FixtureRequest, folder: Path) -> Iterator[Etcd]:  # noqa: ARG001
    """A fresh server; gone at the end."""
    if MISSING:
        pytest.skip(MISSING)
    with etcd_server() as server:
        raw = Raw(server.endpoint)
        try:
            yield Etcd(server, raw)
        finally:
            raw.close()
