"""The contract of `tortie.datastore` on the Kubernetes API."""

import os
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path

import msgspec

from tortie.api import Key, Resource
from tortie.datastore.contract import (
    Batch,
    Closed,
    DatastoreError,
    Forbidden,
    Gone,
    Listing,
    Malformed,
    NotFound,
    Rewound,
    Unavailable,
)
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.custom import labelled
from tortie.datastore.kubernetes.decoding import head_of
from tortie.datastore.kubernetes.derived import DERIVED
from tortie.datastore.kubernetes.errors import is_unknown_resource
from tortie.datastore.kubernetes.lists import NotInstalled, pages
from tortie.datastore.kubernetes.locating import ACCOUNT, find_access
from tortie.datastore.kubernetes.merge import Known, Merge
from tortie.datastore.kubernetes.names import names
from tortie.datastore.kubernetes.objects import Objects, uid_of
from tortie.datastore.kubernetes.places import Place, Places
from tortie.datastore.kubernetes.secrets import read_secret
from tortie.datastore.kubernetes.watches import Stream
from tortie.datastore.settings import CRD_V1, KubernetesSettings

PAGE = 500
_LISTS = 3  # attempts to list all of a kind before the history is gone
_IDENTITY = Request("Namespace(kube-system)", "/api/v1/namespaces/kube-system")


class KubernetesDatastore:
    """A `Datastore` that is an API server. One object belongs to one event loop.

    `derived` names kinds that are not stored: they follow from others, which can be followed too.
    """

    derived = frozenset(DERIVED)

    def __init__(self, client: Client, settings: KubernetesSettings) -> None:
        self._client = client
        self._known = Known()
        self._places = Places(settings.api_group, settings.use_pod_cidr)
        self._objects = Objects(client, self._places, self._known)
        self._closed = False
        self.finalizing = settings.api_group != CRD_V1
        """Whether the API keeps finalizers of custom resources where it looks at them itself."""

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

    def fence(self, check: Callable[[], None]) -> None:
        """Call `check` right before each write is sent, however long it waited for its turn."""
        self._client.before_write = check

    def labelled(self, resource: Resource) -> Resource:
        """As a write of ours stores it: a claim to a block has labels that others select it by."""
        return labelled(resource)

    async def revision(self) -> int:
        """See `Datastore.revision`. A list of at most one object tells it.

        Whoever follows Kubernetes beside another datastore has no right to Calico's kinds there.
        """
        why: DatastoreError | None = None
        for place in (self._places.of("ClusterInformation"), self._places.of("Namespace")):
            request = Request(place.kind, place.collection(), (("limit", "1"),))
            try:
                revision = head_of(await self._client.send(request), place).revision
            except Refused as refused:
                if isinstance(refused.error, Forbidden):
                    why = why or refused.error
                elif not is_unknown_resource(refused.status):
                    raise refused.error from None
                continue
            self._known.heard(revision)
            return revision
        raise why or NotFound("the API server has no namespaces")

    async def identity(self) -> str:
        """See `Datastore.identity`: the UID of the namespace kube-system."""
        with _by_contract():
            uid = uid_of(await self._client.send(_IDENTITY))
        if not uid:
            raise Unavailable("what answers in place of the API server gives no UIDs")
        return uid

    async def get(self, key: Key) -> Resource:
        """See `Datastore.get`."""
        return await self._objects.get(key)

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """A Secret's data, None where there is none; it is no resource, and is kept nowhere.

        Needs the right to get that one Secret. Raises DatastoreError without anything of it.
        """
        return await read_secret(self._client, namespace, name)

    async def names(self, group_version: str, plural: str) -> frozenset[tuple[str, str]]:
        """Namespace and name of all objects of somebody else's kind, of which we know no more.

        None at all where the server has no such kind. Raises DatastoreError.
        """
        return await names(self._client, group_version, plural)

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
        places = self._places.sources(kind)
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
        return await self._objects.create(resource)

    async def update(self, resource: Resource) -> Resource:
        """See `Datastore.update`. Fields of newer versions that we don't know stay."""
        return await self._objects.update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        """See `Datastore.delete`."""
        return await self._objects.delete(key, revision)

    async def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        """See `Datastore.watch`. A kind whose sources are watched too is left out.

        A broken connection is taken up again here, each kind where it was.
        """
        try:
            now = await self.revision()
        except Closed:
            return
        if since > now:
            raise Rewound(
                f"revision {since} is not of this datastore, which is at {now}: list again"
            )
        followed = [kind for kind in kinds if not DERIVED.get(kind, {""}) <= set(kinds)]
        places = [place for kind in followed for place in self._places.sources(kind)]
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


@contextmanager
def _by_contract() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise refused.error from None


def _key(resource: Resource) -> Key:
    return resource.key
