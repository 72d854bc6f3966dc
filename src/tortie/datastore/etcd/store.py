"""The datastore: the contract's operations in terms of etcd's."""

from collections.abc import AsyncGenerator, Collection, Sequence
from uuid import uuid4

from msgspec.structs import replace

from tortie.api import Key, ObjectMeta, Resource
from tortie.api.calico.cluster_information import ClusterInformation, ClusterInformationSpec
from tortie.datastore.contract import AlreadyExists, Batch, Conflict, Gone, Listing, NotFound
from tortie.datastore.etcd import objects, reading, writing
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.fencing import Fence, FencedConnection
from tortie.datastore.etcd.layout import MILESTONE, path_of
from tortie.datastore.etcd.leases import Lease
from tortie.datastore.etcd.members import COMPACT, TXN
from tortie.datastore.etcd.recent import Recent
from tortie.datastore.etcd.together import read_in_one
from tortie.datastore.etcd.watching import watch
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.datastore.settings import EtcdSettings
from tortie.datastore.together import Together
from tortie.datastore.values import (
    check_same_object,
    check_unchanged,
    new_identity,
    revision_read,
)

_CLUSTER = Key("ClusterInformation", "", "default")
_LIST_PAGE = 2_000


class EtcdDatastore:
    """A `Datastore` in an etcd cluster, with Calico's keys and values. It belongs to one loop."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._connection = Connection(settings)
        self._fence: Fence | None = None
        self._recent = Recent()

    @classmethod
    async def open(cls, settings: EtcdSettings) -> "EtcdDatastore":
        """The store of these settings, which connects when it is first used.

        Raises DatastoreError for settings that can never work, as a key that is no key.
        """
        return cls(settings)

    async def revision(self) -> int:
        """See `Datastore.revision`. Writes of others than us count too."""
        return await reading.revision(self._connection)

    async def milestone(self) -> int:
        """The revision of a write that each watch of ours is told of, unlike others' writes.

        Who waits for followers waits for this one: `revision` may be of a key that none watches.
        """
        put = pb.PutRequest(key=MILESTONE)
        request = pb.TxnRequest(success=[pb.RequestOp(request_put=put)])
        answer, _ = await self._connection.ask(TXN, request, f"write {MILESTONE.decode()}")
        return int(answer.header.revision)

    async def identity(self) -> str:
        """See `Datastore.identity`: the cluster's GUID, made by the first who asks."""
        for attempt in range(ATTEMPTS):
            guid = await self._guid()
            if guid:
                return guid
            await pause(attempt)
        raise Conflict(f"{_CLUSTER} changed under {ATTEMPTS} attempts to give it a GUID: retry")

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        kv = await self._there(key)
        self._recent.keep(kv)
        return objects.read_sound(kv, key)

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """See `Datastore.list`."""
        return reading.joined([page async for page in self.pages(kind, namespace, _LIST_PAGE)])

    def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        """See `Datastore.pages`."""
        return reading.pages(self._connection, kind, namespace, size)

    async def together(self, kinds: Sequence[str], keys: Sequence[Key]) -> Together:
        """See `read_together`: one transaction, of one revision."""
        return await read_in_one(self._connection, kinds, keys)

    async def create(self, resource: Resource, lease: int = 0) -> Resource:
        """See `Datastore.create`. With a `lease` of `lease()` it goes when that ends."""
        identity = new_identity()
        value = objects.new_value(resource, identity)
        key, path = resource.key, path_of(resource)
        kv = await writing.put_new(self._writes, key, path, value, identity.uid, lease)
        self._recent.keep(kv)
        return objects.read_sound(kv, key)

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`."""
        key, wanted = resource.key, revision_read(resource)
        for attempt in range(ATTEMPTS):
            old = await self._old(resource, wanted)
            kv = await writing.put_over(self._writes, key, old, _next(old, resource))
            if kv is not None:
                self._recent.keep(kv)
                return objects.read_sound(kv, key)
            if wanted is not None:
                raise writing.changed(key, wanted)
            await pause(attempt)
        raise Conflict(f"{key} changed under each of {ATTEMPTS} attempts to update it: retry")

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """See `Datastore.delete`."""
        for attempt in range(ATTEMPTS):
            old = await self._there(key)
            check_unchanged(key, revision, old.mod_revision)
            if await writing.remove(self._writes, key, old):
                gone = objects.read(old, key)
                return gone if isinstance(gone, Resource) else None
            if revision is not None:
                raise writing.changed(key, revision)
            await pause(attempt)
        raise Conflict(f"{key} changed under each of {ATTEMPTS} attempts to delete it: retry")

    def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """See `Datastore.watch`. A member that falls silent is replaced by the next."""
        return watch(self._connection, kinds, since)

    async def lease(self, seconds: int) -> Lease:
        """A lease that is held while its `async with` lasts; see `Lease`."""
        return Lease(self._connection, self, seconds)

    def fence(self, fence: Fence) -> None:
        """Write only while this is so: see `Fence`. What is written otherwise is NotLeading."""
        self._fence = fence

    async def compact(self, revision: int) -> None:
        """Let etcd forget what was before `revision`; nothing if it has forgotten already."""
        try:
            request = pb.CompactionRequest(revision=revision)
            await self._connection.ask(COMPACT, request, f"compact to revision {revision}")
        except Gone:
            if revision > await self.revision():
                raise

    async def close(self) -> None:
        """See `Datastore.close`."""
        await self._connection.close()

    @property
    def _writes(self) -> writing.Asked:
        if self._fence is None:
            return self._connection
        return FencedConnection(self._connection, self._fence)

    async def _there(self, key: Key) -> pb.KeyValue:
        found = await reading.find(self._connection, key)
        if found is None:
            raise writing.missing(key)
        return found

    async def _old(self, resource: Resource, wanted: int | None) -> pb.KeyValue:
        """What an update is to replace, checked against what its writer read."""
        key, path = resource.key, path_of(resource)
        old = self._recent.get(path, wanted) or await reading.at(self._connection, path)
        if old is None:
            raise writing.missing(key)
        check_unchanged(key, wanted, old.mod_revision)
        check_same_object(resource, objects.identity_of(old, key))
        return old

    async def _guid(self) -> str:
        """The GUID; empty where somebody else has just written it."""
        guid = uuid4().hex
        try:
            found = await self.get(_CLUSTER)
        except NotFound:
            spec = ClusterInformationSpec(cluster_guid=guid, datastore_ready=True)
            fresh = ClusterInformation(metadata=ObjectMeta(name=_CLUSTER.name), spec=spec)
            try:
                await self.create(fresh)
            except AlreadyExists:
                return ""
            return guid
        assert isinstance(found, ClusterInformation)
        if found.spec.cluster_guid:
            return found.spec.cluster_guid
        try:
            await self.update(replace(found, spec=replace(found.spec, cluster_guid=guid)))
        except (Conflict, NotFound):
            return ""
        return guid


def _next(old: pb.KeyValue, resource: Resource) -> bytes:
    return objects.next_value(old, resource, objects.identity_of(old, resource.key))
