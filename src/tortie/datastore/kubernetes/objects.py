"""Single objects: read, made, changed and deleted, each as its kind demands."""

import msgspec
from msgspec import Struct

from tortie.api import Key, Resource
from tortie.datastore.contract import (
    AlreadyExists,
    Conflict,
    DatastoreError,
    Malformed,
    NotFound,
    Unavailable,
)
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.custom import SOFTLY_DELETED, NativeForm, StoredForm, stored_key
from tortie.datastore.kubernetes.decoding import object_of
from tortie.datastore.kubernetes.derived import DERIVED
from tortie.datastore.kubernetes.errors import is_unknown_resource, not_installed
from tortie.datastore.kubernetes.forms import Write
from tortie.datastore.kubernetes.merge import Known
from tortie.datastore.kubernetes.nodes import is_annotated, not_registered
from tortie.datastore.kubernetes.places import Place, Places
from tortie.datastore.kubernetes.recent import Recent
from tortie.datastore.retry import ATTEMPTS, pause
from tortie.datastore.values import Identity, check_same_object, check_unchanged, revision_read


class _Meta(Struct, frozen=True, rename="camel"):
    uid: str = ""
    resource_version: str = "0"


class _Object(Struct, frozen=True):
    metadata: _Meta


_object = msgspec.json.Decoder(_Object).decode


class Objects:
    """The objects of one API server; `known` hears of each revision that a write gives."""

    def __init__(self, client: Client, places: Places, known: Known) -> None:
        self._client = client
        self._places = places
        self._known = known
        self._recent = Recent()

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        place, source = self._places.where(key)
        found = object_of(await self._stored(place, source), place, stored_key(key))
        if isinstance(found, Malformed):
            raise DatastoreError(
                f"{key} is in the datastore but can't be read: {found.reason}. "
                "Replace it by applying it again, or delete it"
            )
        if found is None:
            raise NotFound(f"there is no {key}")
        return found

    async def create(self, resource: Resource) -> Resource:
        """See `Datastore.create`."""
        if resource.kind == "Node":
            return await self._annotated(resource)
        place, source = self._places.where(resource.key)
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
        self._recent.saw(place.path(source), revision_of(made), made)
        return await self._with_status(place, resource, self._read(place, made))

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`. Fields of newer versions that we don't know stay."""
        place, source = self._places.where(resource.key)
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
        place = self._places.of(key.kind)
        for attempt in range(ATTEMPTS):
            known = self._recent.at(place.path(key), revision)
            stored = known or await self._stored(place, key)
            check_unchanged(key, revision, revision_of(stored))
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

    async def _replaced(
        self, place: Place, key: Key, stored: bytes, resource: Resource
    ) -> Resource:
        try:
            write = place.form.changed(stored, resource, str(revision_of(stored)))
        except msgspec.DecodeError as error:
            raise DatastoreError(f"{resource.key} as it is stored can't be read: {error}") from None
        if write is None:
            return self._read(place, stored)
        path = place.path(key)
        made = await self._sent(place, _request(resource.key, path + place.part, write))
        self._recent.saw(path, revision_of(made), made)
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
        place, key = self._places.where(resource.key)
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
        metadata = _metadata(stored)
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
        self._recent.saw(path, revision_of(body), body)
        return body

    async def _sent(self, place: Place, request: Request) -> bytes:
        try:
            body = await self._client.send(request)
        except Refused as refused:
            if is_unknown_resource(refused.status):
                raise self._unknown(place) from None
            raise refused.error from None
        if request.method in ("POST", "PUT", "PATCH"):
            self._known.heard(revision_of(body))
        return body

    def _unknown(self, place: Place) -> DatastoreError:
        return not_installed(place.kind, place.definition, self._client.access.server)

    def _read(self, place: Place, body: bytes) -> Resource:
        found = object_of(body, place)
        if not isinstance(found, Resource):
            reason = found.reason if found else "it stands for nothing"
            raise DatastoreError(f"what was written as {place.kind} can't be read back: {reason}")
        return found


def _request(key: Key, path: str, write: Write) -> Request:
    return Request(str(key), path, (), write.method, write.body, write.content_type)


def _check(place: Place, resource: Resource, stored: bytes, read: int | None) -> None:
    """Raise Conflict where `resource` was not made from what is stored."""
    check_unchanged(resource.key, read, revision_of(stored))
    before = object_of(stored, place, resource.key if resource.kind in DERIVED else None)
    if isinstance(before, Resource):
        check_same_object(resource, Identity(before.metadata.uid, ""))


def revision_of(stored: bytes) -> int:
    """The revision of an object as the server gave it. Raises Unavailable for what is none."""
    return int(_metadata(stored).resource_version or 0)


def uid_of(stored: bytes) -> str:
    """The UID that the server gave. Raises Unavailable for what is no object."""
    return _metadata(stored).uid


def _metadata(stored: bytes) -> _Meta:
    try:
        return _object(stored).metadata
    except (msgspec.DecodeError, ValueError) as error:
        raise Unavailable(f"what answers in place of the API server is none: {error}") from None
