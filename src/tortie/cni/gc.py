"""GC: detach what the runtime says is no more."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from tortie.api import Pod, WorkloadEndpoint
from tortie.cni.attachment import Attacher
from tortie.cni.chained import Chained
from tortie.cni.config import AttachmentId
from tortie.cni.errors import TRY_AGAIN, CniError
from tortie.cni.request import CniRequest
from tortie.kubernetes import names
from tortie.kubernetes.pods import attached_further


async def collect(attacher: Attacher | Chained, request: CniRequest) -> None:
    """Detach what this node has of the network and the configuration does not list as valid.

    Other networks' attachments are not this list's to judge. Without a list (libcni gives none
    where its caller has none) nothing is said of any, and all stay. One that can't be detached does
    not keep the others. Raises CniError with all that could not be.
    """
    if request.config.valid_attachments is None:
        return
    valid = frozenset(request.config.valid_attachments)
    problems = []
    for stale in await _attached(attacher, request):
        if _attachment(stale) not in valid:
            try:
                await attacher.delete(stale)
            except Exception as problem:  # of whatever kind: told with the others
                problems.append((stale, problem))
    if problems:
        raise _all_of(problems)


async def _attached(attacher: Attacher | Chained, request: CniRequest) -> list[CniRequest]:
    """What is recorded of this network on this node, as the requests to detach it."""
    pods, endpoints = await attacher.records.all()
    first = [
        stale
        for stale, network in _of_pods(pods, attacher.node, request)
        if (network == request.config.name if network else await attacher.is_of_network(stale))
    ]
    return [
        *_of_endpoints(endpoints, attacher.node, request),
        *_further_of_pods(pods, attacher.node, request),
        *first,
    ]


def _all_of(problems: Sequence[tuple[CniRequest, Exception]]) -> CniError:
    """One error for all; the first one's code."""
    first = problems[0][1]
    code = first.code if isinstance(first, CniError) else TRY_AGAIN
    told = [f"{stale.container_id}/{stale.ifname}: {problem}" for stale, problem in problems]
    return CniError(code, f"{len(problems)} can't be detached, such as {told[0]}", "; ".join(told))


def _attachment(request: CniRequest) -> AttachmentId:
    return AttachmentId(container_id=request.container_id, ifname=request.ifname)


def _of_pods(pods: list[Pod], node: str, request: CniRequest) -> Iterator[tuple[CniRequest, str]]:
    """Pods' first interfaces, and of which network each is; "" where that is not recorded."""
    for pod in pods:
        about = pod.metadata.annotations
        container = about.get(names.CONTAINER_ID, "")
        if container and pod.spec.node_name == node:
            stale = _deletion(request, container, names.ENDPOINT, _arguments(pod))
            yield stale, about.get(names.NETWORK, "")


def _further_of_pods(pods: list[Pod], node: str, request: CniRequest) -> Iterator[CniRequest]:
    for pod in pods:
        if pod.spec.node_name != node:
            continue
        for ifname, one in attached_further(pod).items():
            if one.network == request.config.name:
                yield _deletion(request, one.container_id, ifname, _arguments(pod))


def _of_endpoints(
    endpoints: list[WorkloadEndpoint], node: str, request: CniRequest
) -> Iterator[CniRequest]:
    for one in endpoints:
        spec, network = one.spec, one.metadata.labels.get(names.NETWORK_LABEL)
        if spec.node != node or not spec.container_id or network != request.config.name:
            continue
        if spec.orchestrator == names.ORCHESTRATOR:
            yield _deletion(request, spec.container_id, spec.endpoint, _arguments(one))
        elif spec.orchestrator == "cni":
            yield _deletion(request, spec.container_id, spec.endpoint, {})


def _arguments(found: Pod | WorkloadEndpoint) -> dict[str, str]:
    name = found.metadata.name if isinstance(found, Pod) else found.spec.pod
    return {"K8S_POD_NAMESPACE": found.metadata.namespace, "K8S_POD_NAME": name}


def _deletion(
    request: CniRequest, container: str, ifname: str, arguments: dict[str, str]
) -> CniRequest:
    return replace(
        request,
        command="DEL",
        container_id=container,
        ifname=ifname,
        netns="",
        arguments=arguments,
    )
