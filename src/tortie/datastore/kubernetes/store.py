"""The contract of `tortie.datastore` on the Kubernetes API."""

import os
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from tortie.api import Key, Resource
from tortie.datastore.contract import (
    AlreadyExists,
    Batch,
    Closed,
    Conflict,
    DatastoreError,
    Gone,
    Listing,
    Malformed,
    NotFound,
)
from tortie.datastore.kubernetes.access import ACCOUNT, find_access
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.custom import SOFTLY_DELETED, NativeForm, StoredForm
from tortie.datastore.kubernetes.decoding import head_of, object_of
from tortie.datastore.kubernetes.derived import DERIVED, source_key
from tortie.datastore.kubernetes.errors import is_unknown_resource, not_installed
from tortie.datastore.kubernetes.forms import JSON, Write
from tortie.datastore.kubernetes.lists import NotInstalled, pages
from tortie.datastore.kubernetes.merge import Known, Merge
from tortie.datastore.kubernetes.places import Place, place_of, profile_sources
from tortie.datastore.kubernetes.recent import Recent
from tortie.datastore.kubernetes.watches import Stream
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.datastore.settings import KubernetesSettings
from tortie.datastore.values import Identity, check_same_object, check_unchanged, revision_read

PAGE = 500
_LISTS = 3  # attempts to list all of a kind before the history is gone
_IDENTITY = Request("Namespace(kube-system)", "/api/v1/namespaces/kube-system")


class _Meta(Struct, frozen=True, rename="camel"):
    uid: str = ""
    resource_version: str = "0"


class _Object(Struct, frozen=True):
    metadata: _Meta


_object = msgspec.json.Decoder(_Object).decode


class KubernetesDatastore:
    """A `Datastore` that is an API server. One object belongs to one event loop.

    `derived` names kinds that are not stored: they follow from others, which can be followed too.
    """

    derived = frozenset(DERIVED)

    def __init__(self, client: Client, settings: KubernetesSettings) -> None:
        self._client = client
        self._settings = settings
        self._known = Known()
        self._recent = Recent()
        self._closed = False

    @classmethod
    async def open(
        cls,
        settings: KubernetesSettings,
        account: Path = ACCOUNT,
        environment: Mapping[str, str] = os.environ,
    ) -> "KubernetesDatastore":
        """The store that the settings name. Raises DatastoreError for what can never work.

        Nothing is asked of the server: the first operation says if it is away or refuses us.
        `account` and `environment` are where a pod finds its server and its own credentials.
        """
        access = find_access(settings, account, environment)
        return cls(Client(access, settings.qps, settings.burst), settings)

    def __repr__(self) -> str:
        return f"KubernetesDatastore({self._client.access.server})"

    async def revision(self) -> int:
        """See `Datastore.revision`. A list of at most one object tells it."""
        for place in (self._place("ClusterInformation"), self._place("Namespace")):
            request = Request(place.kind, place.collection(), (("limit", "1"),))
            try:
                revision = head_of(await self._client.send(request), place).revision
            except Refused as refused:
                if is_unknown_resource(refused.status):
                    continue
                raise refused.error from None
            self._known.heard(revision)
            return revision
        raise NotFound("the API server has no namespaces")

    async def identity(self) -> str:
        """See `Datastore.identity`: the UID of the namespace kube-system."""
        with _by_contract():
            return _object(await self._client.send(_IDENTITY)).metadata.uid

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        place, source = self._where(key)
        found = object_of(await self._stored(place, source), place)
        if isinstance(found, Malformed):
            raise DatastoreError(
                f"{key} is in the datastore but can't be read: {found.reason}. "
                "Replace it by applying it again, or delete it"
            )
        if found is None or found.key != key:
            raise NotFound(f"there is no {key}")
        return found

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        """See `Datastore.list`. A kind that may be missing on a server then has no objects."""
        for attempt in range(_LISTS):
            try:
                return await self._listed(kind, namespace)
            except Gone:
                if attempt == _LISTS - 1:
                    raise
        raise AssertionError

    async def _listed(self, kind: str, namespace: str | None) -> Listing:
        resources: list[Resource] = []
        malformed: list[Malformed] = []
        revision = 0
        async with aclosing(self.pages(kind, namespace, PAGE)) as found:
            async for page in found:
                resources += page.resources
                malformed += page.malformed
                revision = page.revision
        resources.sort(key=_key)
        return Listing(tuple(resources), tuple(malformed), revision)

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = PAGE
    ) -> AsyncGenerator[Listing, None]:
        """See `Datastore.pages`. Objects come in the server's order."""
        places = self._sources(kind)
        revision: int | None = None
        if namespace and not places[0].namespaced:
            yield Listing((), (), await self.revision())
            return
        for place in places:
            async with aclosing(self._pages(place, namespace or "", size)) as found:
                async for page in found:
                    revision = page.revision if revision is None else min(revision, page.revision)
                    self._known.heard(page.revision)
                    yield msgspec.structs.replace(page, revision=revision)

    async def _pages(
        self, place: Place, namespace: str, size: int
    ) -> AsyncGenerator[Listing, None]:
        try:
            async with aclosing(pages(self._client, place, namespace, size)) as found:
                async for page in found:
                    yield page
        except NotInstalled as missing:
            if not place.optional:
                raise missing.error from None
            yield Listing((), (), await self.revision())

    async def create(self, resource: Resource) -> Resource:
        """See `Datastore.create`."""
        if resource.kind == "Node":
            return await self._annotated(resource)
        place, source = self._where(resource.key)
        place.path(source)  # checks the key
        request = Request(
            str(resource.key),
            place.collection(source.namespace),
            method="POST",
            body=place.form.new(resource),
        )
        try:
            made = await self._sent(place, request)
        except AlreadyExists:
            if not await self._finished(place, source):
                raise
            made = await self._sent(place, request)
        self._recent.saw(place.path(source), _revision_of(made), made)
        return await self._with_status(place, resource, self._read(place, made))

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`. Fields of newer versions that we don't know stay."""
        place, source = self._where(resource.key)
        read = revision_read(resource)
        for attempt in range(ATTEMPTS):
            known = self._recent.at(place.path(source), read)
            stored = known or await self._stored(place, source)
            _check(place, resource, stored, read)
            try:
                return await self._replaced(place, source, stored, resource)
            except Conflict:
                if read is not None or attempt == ATTEMPTS - 1:
                    raise
            await pause(attempt)
        raise AssertionError

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """See `Datastore.delete`."""
        if key.kind in DERIVED or key.kind == "Node":
            await self.get(key)
            raise DatastoreError(f"{key} follows from its Kubernetes object: delete that instead")
        place = self._place(key.kind)
        for attempt in range(ATTEMPTS):
            known = self._recent.at(place.path(key), revision)
            stored = known or await self._stored(place, key)
            check_unchanged(key, revision, _revision_of(stored))
            try:
                await self._removed(place, key, stored)
            except Conflict:
                if revision is not None or attempt == ATTEMPTS - 1:
                    raise
                await pause(attempt)
                continue
            gone = object_of(stored, place)
            return gone if isinstance(gone, Resource) else None
        raise AssertionError

    async def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """See `Datastore.watch`. A kind whose sources are watched too is left out.

        A broken connection is taken up again here, each kind where it was.
        """
        try:
            now = await self.revision()
        except Closed:
            return
        if since > now:
            raise Gone(f"revision {since} is not of this datastore, which is at {now}: list again")
        followed = [kind for kind in kinds if not DERIVED.get(kind, {""}) <= set(kinds)]
        places = [place for kind in followed for place in self._sources(kind)]
        streams = [Stream(self._client, place, since) for place in places]
        merge = Merge(streams, since, self._known)
        async with aclosing(merge.batches(self.revision, self._is_closed)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        """See `Datastore.close`."""
        self._closed = True
        self._known.wake()
        await self._client.close()

    def _is_closed(self) -> bool:
        return self._closed

    async def _replaced(
        self, place: Place, key: Key, stored: bytes, resource: Resource
    ) -> Resource:
        write = place.form.changed(stored, resource, str(_revision_of(stored)))
        if write is None:
            return self._read(place, stored)
        path = place.path(key)
        made = await self._sent(place, _request(resource.key, path + place.part, write))
        self._recent.saw(path, _revision_of(made), made)
        return await self._with_status(place, resource, self._read(place, made))

    async def _with_status(self, place: Place, wanted: Resource, made: Resource) -> Resource:
        """Where the API keeps the status apart, writing the object leaves it as it was."""
        status = getattr(wanted, "status", None)
        if not place.has_status or getattr(made, "status", None) == status:
            return made
        source = place.path(wanted.key)
        stored = await self._stored(place, wanted.key)
        whole = msgspec.structs.replace(made, status=status)
        write = place.form.changed(stored, whole, made.metadata.resource_version)
        assert write is not None
        sent = await self._sent(place, _request(wanted.key, f"{source}/status", write))
        return self._read(place, sent)

    async def _annotated(self, resource: Resource) -> Resource:
        """Create a Node: its machine is there, and has none of our annotations yet."""
        from tortie.datastore.kubernetes.nodes import is_annotated, not_registered

        place, key = self._where(resource.key)
        try:
            stored = await self._stored(place, key)
        except NotFound:
            raise not_registered(key.name) from None
        if is_annotated(stored):
            raise AlreadyExists(f"{resource.key} is there already: update it instead")
        return await self._replaced(place, key, stored, resource)

    async def _finished(self, place: Place, key: Key) -> bool:
        """Whether what is there was half deleted by somebody who ended; now it is gone."""
        if key.kind not in SOFTLY_DELETED:
            return False
        try:
            stored = await self._stored(place, key)
            found = object_of(stored, place)
            if not getattr(getattr(found, "spec", None), "deleted", False):
                return False
            await self._removed(place, key, stored)
        except (Conflict, NotFound):
            return False
        return True

    async def _removed(self, place: Place, key: Key, stored: bytes) -> None:
        """Delete this very object as it was read. Raises Conflict, NotFound.

        Address management first marks it: others that hold it must not use it any more.
        """
        path, about = place.path(key), str(key)
        if key.kind in SOFTLY_DELETED:
            assert isinstance(place.form, NativeForm | StoredForm)
            marked = place.form.marked(stored)
            stored = await self._sent(place, Request(about, path, (), "PUT", marked))
        metadata = _object(stored).metadata
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
        }
        body = msgspec.json.encode(options)
        await self._sent(place, Request(about, path, (), "DELETE", body))

    async def _stored(self, place: Place, key: Key) -> bytes:
        """The object's bytes as the server gives them. Raises NotFound."""
        path = place.path(key)
        body = await self._sent(place, Request(str(key), path))
        self._recent.saw(path, _revision_of(body), body)
        return body

    async def _sent(self, place: Place, request: Request) -> bytes:
        try:
            body = await self._client.send(request)
        except Refused as refused:
            if is_unknown_resource(refused.status):
                raise self._unknown(place) from None
            raise refused.error from None
        if request.method in ("POST", "PUT", "PATCH"):
            self._known.heard(_revision_of(body))
        return body

    def _unknown(self, place: Place) -> DatastoreError:
        return not_installed(place.kind, place.definition, self._client.access.server)

    def _read(self, place: Place, body: bytes) -> Resource:
        found = object_of(body, place)
        if not isinstance(found, Resource):
            reason = found.reason if found else "it stands for nothing"
            raise DatastoreError(f"what was written as {place.kind} can't be read back: {reason}")
        return found

    def _place(self, kind: str) -> Place:
        return place_of(kind, self._settings.api_group, self._settings.use_pod_cidr)

    def _sources(self, kind: str) -> tuple[Place, ...]:
        return profile_sources() if kind == "Profile" else (self._place(kind),)

    def _where(self, key: Key) -> tuple[Place, Key]:
        """The place of an object, and the key of what is there in the API."""
        if key.kind not in DERIVED:
            return self._place(key.kind), key
        source = source_key(key)
        places = {place.form.wire.__name__: place for place in self._sources(key.kind)}
        return places[source.kind], source


def _request(key: Key, path: str, write: Write) -> Request:
    return Request(str(key), path, (), write.method, write.body, write.content_type or JSON)


def _check(place: Place, resource: Resource, stored: bytes, read: int | None) -> None:
    """Raise Conflict where `resource` was not made from what is stored."""
    check_unchanged(resource.key, read, _revision_of(stored))
    before = object_of(stored, place)
    if isinstance(before, Resource):
        check_same_object(resource, Identity(before.metadata.uid, ""))


def _revision_of(stored: bytes) -> int:
    return int(_object(stored).metadata.resource_version or 0)


@contextmanager
def _by_contract() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise refused.error from None


def _key(resource: Resource) -> Key:
    return resource.key
