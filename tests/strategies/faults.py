"""A datastore that fails when told to, and clusters whose objects stand for one another."""

from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import aclosing

from hypothesis import strategies as st

from tortie.api import (
    Key,
    Namespace,
    ObjectMeta,
    Pod,
    PodSpec,
    PodStatus,
    Profile,
    ProfileSpec,
    Resource,
    ServiceAccount,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.datastore import Batch, Datastore, DatastoreError, Gone, Listing, Unavailable
from tortie.datastore.values import in_pages
from tortie.kubernetes import wep_name

FAULTS: dict[str, type[DatastoreError]] = {"unavailable": Unavailable, "gone": Gone}
faults = st.lists(st.sampled_from(["", "", "", *FAULTS]), max_size=30)
"""What happens at each further operation: nothing, or an error. Afterwards nothing more."""

NODES, NAMES = ["node-a", "node-b"], ["a", "b"]


class FaultyStore:
    """The reads of another store, each failing if the next fault says so."""

    def __init__(self, store: Datastore, script: Iterable[str]) -> None:
        self._store = store
        self._script = iter(script)

    def fail(self) -> None:
        """Raise the next fault, if it is one."""
        fault = next(self._script, "")
        if fault:
            raise FAULTS[fault](f"{fault}, as told")

    async def revision(self) -> int:
        self.fail()
        return await self._store.revision()

    async def identity(self) -> str:
        self.fail()
        return await self._store.identity()

    async def get(self, key: Key) -> Resource:
        self.fail()
        return await self._store.get(key)

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        for page in in_pages(await self.list(kind, namespace), size):
            yield page

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        self.fail()
        return await self._store.list(kind, namespace)

    async def create(self, resource: Resource) -> Resource:
        return await self._store.create(resource)

    async def update(self, resource: Resource) -> Resource:
        return await self._store.update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        return await self._store.delete(key, revision)

    async def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        self.fail()
        async with aclosing(self._store.watch(kinds, since)) as batches:
            async for batch in batches:
                self.fail()  # a batch that never arrives
                yield batch
                self.fail()

    async def close(self) -> None:
        await self._store.close()


def pod(name: str, node: str = "node-a", address: str = "10.0.0.1", **labels: str) -> Pod:
    """A pod of the namespace `web`; without an address it has no endpoint yet."""
    return Pod(
        metadata=ObjectMeta(name=name, namespace="web", labels=labels),
        spec=PodSpec(node_name=node, containers=()),
        status=PodStatus(pod_ip=address),
    )


def endpoint(name: str, node: str = "node-a", **labels: str) -> WorkloadEndpoint:
    """A stored endpoint of the name that the pod's would have."""
    return WorkloadEndpoint(
        metadata=ObjectMeta(
            name=wep_name(node, "k8s", name, "eth0"), namespace="web", labels=labels
        ),
        spec=WorkloadEndpointSpec(node=node, ip_networks=("10.0.0.9/32",)),
    )


def cluster_objects() -> st.SearchStrategy[Resource]:
    """Objects of few names, some of which stand for the same key."""
    names, nodes = st.sampled_from(NAMES), st.sampled_from(NODES)
    labels = st.dictionaries(st.just("app"), st.sampled_from(["x", "y"]), max_size=1)
    addresses = st.sampled_from(["", "10.0.0.1", "nonsense"])
    return st.one_of(
        st.builds(lambda n, o, a, ls: pod(n, o, a, **ls), names, nodes, addresses, labels),
        st.builds(lambda n, o, ls: endpoint(n, o, **ls), names, nodes, labels),
        st.builds(
            lambda name, found: Namespace(metadata=ObjectMeta(name=name, labels=found)),
            names,
            labels,
        ),
        st.builds(
            lambda name: Profile(metadata=ObjectMeta(name=name), spec=ProfileSpec()),
            st.sampled_from(["kns.a", "ksa.web.a", "other"]),
        ),
        st.builds(
            lambda name: ServiceAccount(metadata=ObjectMeta(name=name, namespace="web")), names
        ),
    )
