"""A datastore that fails when told to, and clusters whose objects stand for one another."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import aclosing

from hypothesis import strategies as st

from tortie.api import (
    IPPool,
    IPPoolSpec,
    Key,
    Namespace,
    Node,
    NodeSpec,
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
from tortie.api.calico.bgp_peer import BGPPeer, BGPPeerSpec
from tortie.datastore import (
    Batch,
    Datastore,
    DatastoreError,
    Forbidden,
    Gone,
    Listing,
    Unavailable,
)
from tortie.kubernetes import wep_name
from tortie.kubernetes.interfaces import Further, with_further

FAULTS: dict[str, type[DatastoreError]] = {
    "unavailable": Unavailable,
    "gone": Gone,
    "forbidden": Forbidden,
}
ODDITIES = ("repeat", "end")  # of a watch: a batch comes twice; it ends by itself
faults = st.lists(st.sampled_from(["", "", "", *FAULTS, *ODDITIES]), max_size=30)
"""What happens at each further operation: nothing, or an error. Afterwards nothing more."""

NODES, NAMES = ["node-a", "node-b"], ["a", "b"]
PAGE = 2  # objects; small, so that few objects are several pages


class FaultyStore:
    """The reads of another store, each failing if the next fault says so.

    Each page is an operation, and so is each batch of a watch, before it arrives and after.
    `calls` has the names of the operations.
    """

    def __init__(self, store: Datastore, script: Iterable[str], page: int = PAGE) -> None:
        self._store = store
        self._script = iter(script)
        self._page = page
        self.calls: list[str] = []

    async def step(self, operation: str) -> str:
        """As `fail`, after others had their turn: they may write between any two operations."""
        await asyncio.sleep(0)
        return self.fail(operation)

    def fail(self, operation: str) -> str:
        """Raise the next fault, if it is an error; else it is the caller's."""
        self.calls.append(operation)
        fault = next(self._script, "")
        if fault in FAULTS:
            raise FAULTS[fault](f"{fault}, as told")
        return fault

    async def revision(self) -> int:
        await self.step("revision")
        return await self._store.revision()

    async def identity(self) -> str:
        await self.step("identity")
        return await self._store.identity()

    async def get(self, key: Key) -> Resource:
        await self.step("get")
        return await self._store.get(key)

    async def pages(
        self, kind: str, namespace: str | None = None, size: int = 500
    ) -> AsyncGenerator[Listing, None]:
        size = min(size, self._page)
        async with aclosing(self._store.pages(kind, namespace, size)) as pages:
            async for page in pages:
                await self.step("page")
                yield page

    async def list(self, kind: str, namespace: str | None = None) -> Listing:
        await self.step("list")
        return await self._store.list(kind, namespace)

    async def create(self, resource: Resource) -> Resource:
        return await self._store.create(resource)

    async def update(self, resource: Resource) -> Resource:
        return await self._store.update(resource)

    async def delete(self, key: Key, revision: int | None = None) -> Resource | None:
        return await self._store.delete(key, revision)

    async def watch(self, kinds: Collection[str], since: int) -> AsyncGenerator[Batch, None]:
        await self.step("watch")
        async with aclosing(self._store.watch(kinds, since)) as batches:
            async for batch in batches:
                oddity = await self.step("batch")  # an error: it never arrives
                yield batch
                if oddity == "repeat":
                    yield batch
                if await self.step("after") == "end":
                    return

    async def close(self) -> None:
        await self._store.close()


def pod(name: str, node: str = "node-a", address: str = "10.0.0.1", **labels: str) -> Pod:
    """A pod of the namespace `web`; without an address it has no endpoint yet."""
    return Pod(
        metadata=ObjectMeta(name=name, namespace="web", labels=labels),
        spec=PodSpec(node_name=node, containers=()),
        status=PodStatus(pod_ip=address),
    )


def several(found: Pod, interfaces: Mapping[str, bool]) -> Pod:
    """The Pod with further interfaces, by name: there, or there before."""
    for name, there in interfaces.items():
        found = with_further(found, name, Further(container_id="c", addresses=("10.0.0.8/32",)))
        found = found if there else with_further(found, name, None)
    return found


def endpoint(
    name: str, node: str = "node-a", ifname: str = "eth0", **labels: str
) -> WorkloadEndpoint:
    """A stored endpoint of the name that the pod's would have."""
    return WorkloadEndpoint(
        metadata=ObjectMeta(
            name=wep_name(node, "k8s", name, ifname), namespace="web", labels=labels
        ),
        spec=WorkloadEndpointSpec(node=node, ip_networks=("10.0.0.9/32",)),
    )


def cluster_objects() -> st.SearchStrategy[Resource]:
    """Objects of few names, some of which stand for the same key."""
    names, nodes = st.sampled_from(NAMES), st.sampled_from(NODES)
    labels = st.dictionaries(st.just("app"), st.sampled_from(["x", "y"]), max_size=1)
    addresses = st.sampled_from(["", "10.0.0.1", "nonsense"])
    return st.one_of(
        st.builds(
            lambda n, o, a, ls, further: several(pod(n, o, a, **ls), further),
            names,
            nodes,
            addresses,
            labels,
            st.dictionaries(st.sampled_from(["net1", "net2"]), st.booleans()),
        ),
        st.builds(
            lambda n, o, i, ls: endpoint(n, o, i, **ls),
            names,
            nodes,
            st.sampled_from(["eth0", "eth0", "net1"]),
            labels,
        ),
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


def network_objects() -> st.SearchStrategy[Resource]:
    """Objects of the other streams: nodes, pools, peers."""
    labels = st.dictionaries(st.just("rack"), st.sampled_from(["x", "y"]), max_size=1)
    metadata = st.builds(
        lambda name, found: ObjectMeta(name=name, labels=found), st.sampled_from("abc"), labels
    )
    pool = IPPoolSpec(cidr="10.0.0.0/16")
    return st.one_of(
        st.builds(lambda meta: Node(metadata=meta, spec=NodeSpec()), metadata),
        st.builds(lambda meta: IPPool(metadata=meta, spec=pool), metadata),
        st.builds(lambda meta: BGPPeer(metadata=meta, spec=BGPPeerSpec()), metadata),
    )
