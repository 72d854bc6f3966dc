"""What the datastore knows of an attached container: its Pod says so, or a stored endpoint.

Of a pod's first interface annotations tell, as Calico has them; of others a condition of its status
(`tortie.kubernetes.interfaces`).
"""

from typing import NamedTuple, cast

from tortie.api import Key, Pod, Resource, WorkloadEndpoint
from tortie.cni.errors import INVALID_CONFIG, TRY_AGAIN, CniError
from tortie.cni.workload import (
    Workload,
    check_pod,
    endpoint_resource,
    with_interface,
    without_interface,
)
from tortie.datastore import AlreadyExists, Conflict, Datastore, Invalid, NotFound, update_with
from tortie.kubernetes.interfaces import Further
from tortie.kubernetes.names import CONTAINER_ID, POD_IPS
from tortie.kubernetes.pods import attached_further


class Record(NamedTuple):
    """What the datastore says is attached as this workload.

    `container_id` is "" for nobody; `addresses` are those of that container.
    """

    pod: Pod | None
    container_id: str
    addresses: tuple[str, ...] = ()

    def addresses_of(self, container_id: str) -> tuple[str, ...]:
        """The addresses, if they are this container's."""
        return self.addresses if self.container_id == container_id else ()


class Records:
    """Reads and writes of the records of one node's workloads. Raises DatastoreError."""

    def __init__(self, store: Datastore) -> None:
        self.store = store
        derived: frozenset[str] = getattr(store, "derived", frozenset())
        self._stores = "WorkloadEndpoint" not in derived  # with Kubernetes as datastore Pods alone

    async def find(self, workload: Workload) -> Record:
        """What is recorded."""
        pod = await self.pod(workload)
        if pod is not None and (workload.is_first or _further(pod, workload) or not self._stores):
            return _told(pod, workload)
        try:
            endpoint = cast(WorkloadEndpoint, await self.store.get(_key(workload)))
        except NotFound:
            return Record(pod, "")
        return Record(pod, endpoint.spec.container_id, endpoint.spec.ip_networks)

    async def write(
        self, workload: Workload, record: Record, network: str, addresses: tuple[str, ...], mac: str
    ) -> int:
        """Record the container and its addresses; returns the datastore's revision of it."""
        if record.pod is None:
            return await self._write_endpoint(endpoint_resource(workload, network, addresses, mac))

        def annotate(current: Resource) -> Resource:
            check_pod(cast(Pod, current), workload)
            return with_interface(cast(Pod, current), workload, network, addresses, mac)

        try:  # as it was read a moment ago: mostly nobody touched it since
            return _revision(await self.store.update(annotate(record.pod)))
        except Conflict:
            return _revision(await update_with(self.store, workload.pod, annotate))

    async def all(self) -> tuple[list[Pod], list[WorkloadEndpoint]]:
        """Every Pod and every stored endpoint of the cluster."""
        pods = (await self.store.list("Pod")).resources
        endpoints = (await self.store.list("WorkloadEndpoint")).resources if self._stores else ()
        return (
            [cast(Pod, pod) for pod in pods],
            [cast(WorkloadEndpoint, endpoint) for endpoint in endpoints],
        )

    async def clear(self, workload: Workload, found: Pod | None = None) -> None:
        """Forget this container; a record of a later one of the same workload stays.

        `found` is its Pod as it was read a moment ago: mostly nobody touched it since.
        """
        if workload.is_pod:
            await self._clear_pod(workload, found)
        if self._stores:
            await self._clear_endpoint(workload)

    async def pod(self, workload: Workload) -> Pod | None:
        """Its Pod, as far as the datastore has it."""
        if not workload.is_pod:
            return None
        try:
            return cast(Pod, await self.store.get(workload.pod))
        except NotFound:
            return None

    async def _write_endpoint(self, endpoint: WorkloadEndpoint) -> int:
        try:
            return _revision(await self.store.create(endpoint))
        except AlreadyExists:
            return _revision(await update_with(self.store, endpoint.key, lambda _: endpoint))
        except Invalid as problem:
            raise _no_place(endpoint, str(problem)) from None

    async def _clear_pod(self, workload: Workload, found: Pod | None) -> None:
        def annotate(current: Resource) -> Resource | None:
            pod = cast(Pod, current)
            mine = _told(pod, workload).container_id == workload.container_id
            return without_interface(pod, workload) if mine else None

        try:
            if found is None or not await self._updated(annotate(found)):
                await update_with(self.store, workload.pod, annotate)
        except NotFound:
            return

    async def _updated(self, changed: Resource | None) -> bool:
        """Whether nothing is to be written, or nobody was quicker."""
        try:
            if changed is not None:
                await self.store.update(changed)
        except Conflict:
            return False
        return True

    async def _clear_endpoint(self, workload: Workload) -> None:
        try:
            found = cast(WorkloadEndpoint, await self.store.get(_key(workload)))
            if found.spec.container_id == workload.container_id:
                await self.store.delete(found.key, int(found.metadata.resource_version))
        except (NotFound, Conflict):  # gone, or a later container's by now
            return


def _told(pod: Pod, workload: Workload) -> Record:
    """What a Pod tells of one of its interfaces."""
    if workload.is_first:
        about = pod.metadata.annotations
        texts = tuple(filter(None, about.get(POD_IPS, "").split(",")))
        return Record(pod, about.get(CONTAINER_ID, ""), texts)
    found = _further(pod, workload) or Further()
    return Record(pod, found.container_id, found.addresses)


def _further(pod: Pod, workload: Workload) -> Further | None:
    return attached_further(pod).get(workload.ifname)


def _no_place(endpoint: WorkloadEndpoint, problem: str) -> CniError:
    """With Kubernetes as datastore an endpoint is what a Pod says of one of its interfaces."""
    spec = endpoint.spec
    if spec.pod:  # a static pod's comes after its container
        missing = f"there is no Pod {endpoint.metadata.namespace}/{spec.pod}, or none yet"
        return CniError(TRY_AGAIN, missing, problem)
    why = "with Kubernetes as datastore only pods have interfaces"
    return CniError(INVALID_CONFIG, f"{spec.endpoint} of {spec.workload}: {why}", problem)


def _key(workload: Workload) -> Key:
    return Key(*workload.endpoint)


def _revision(resource: Resource) -> int:
    return int(resource.metadata.resource_version)
