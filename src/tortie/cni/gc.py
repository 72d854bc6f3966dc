"""GC: detach what the runtime says is no more."""

from collections.abc import Iterator

from msgspec.structs import replace

from tortie.api import Pod, WorkloadEndpoint
from tortie.cni.attachment import Attacher
from tortie.cni.errors import INVALID_CONFIG, CniError
from tortie.cni.request import CniRequest
from tortie.cni.workload import Workload
from tortie.kubernetes import names


async def collect(attacher: Attacher, request: CniRequest) -> None:
    """Detach every container of this node that the configuration does not list as valid."""
    if request.config.valid_attachments is None:
        raise CniError(INVALID_CONFIG, "GC needs cni.dev/valid-attachments")
    valid = {attachment.container_id for attachment in request.config.valid_attachments}
    for workload in await _recorded(attacher):
        if workload.container_id not in valid:
            await attacher.detach(f"{request.config.name}.{workload.container_id}", workload)


async def _recorded(attacher: Attacher) -> list[Workload]:
    pods, endpoints = await attacher.records.all()
    found = [*_of_pods(pods, attacher.node), *_of_endpoints(endpoints, attacher.node)]
    return [replace(one, prefix=attacher.prefix) for one in found if one.container_id]


def _of_pods(pods: list[Pod], node: str) -> Iterator[Workload]:
    for pod in pods:
        if pod.spec.node_name == node:
            meta = pod.metadata
            container = meta.annotations.get(names.CONTAINER_ID, "")
            yield Workload(node, meta.namespace, meta.name, names.ORCHESTRATOR, container)


def _of_endpoints(endpoints: list[WorkloadEndpoint], node: str) -> Iterator[Workload]:
    for endpoint in endpoints:
        spec = endpoint.spec
        if spec.node == node and spec.orchestrator in ("cni", names.ORCHESTRATOR):
            yield Workload(
                node,
                endpoint.metadata.namespace,
                spec.pod or spec.workload,
                spec.orchestrator,
                spec.container_id,
            )
