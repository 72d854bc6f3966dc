"""What a folder of manifests leaves to a cluster: namespaces, nodes, addresses, endpoints.

A Pod in a file has no address, and policy is about addresses. So each gets one of a network that
nobody else can have (RFC 2544's 198.18.0.0/15, RFC 5180's 2001:2::/48), a Service without slices
gets the pods that it selects, and a namespace that only a name speaks of is there, bare.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec.structs import replace

from tortie.api import (
    KINDS,
    Key,
    Namespace,
    ObjectMeta,
    Pod,
    Resource,
    with_metadata,
)
from tortie.api.kube.endpoint_slice import (
    SERVICE_LABEL,
    EndpointSlice,
    EndpointSlicePort,
    ServiceEndpoint,
)
from tortie.api.kube.pod import PodIP, PodStatus
from tortie.api.kube.service import Service, ServicePort
from tortie.kubernetes.names import POD_IP, POD_IPS
from tortie.net import format_address

NODE = "unscheduled"  # where a pod runs that no scheduler has seen
DEFAULT_ACCOUNT = "default"
_FIRST4 = 198 << 24 | 18 << 16 | 1
_FIRST6 = 0x20010002 << 96 | 1
_NAME_LABEL = "kubernetes.io/metadata.name"


def completed(resources: Iterable[Resource], cluster: Iterable[Resource] = ()) -> list[Resource]:
    """These resources over those that the cluster has, as they would run there.

    What the cluster has stays as it is, also where it is incomplete: that is its state.
    """
    there = {resource.key: resource for resource in cluster}
    new = {resource.key: resource for resource in resources}
    found = there | new
    pods = [each for each in new.values() if isinstance(each, Pod)]
    found.update((pod.key, pod) for pod in _addressed(pods, there))
    found.update([(each.key, each) for each in _slices(found)])
    found.update([(each.key, each) for each in _namespaces(found)])
    return [_labelled(each) if isinstance(each, Namespace) else each for each in found.values()]


def _addressed(pods: Sequence[Pod], there: Mapping[Key, Resource]) -> Iterator[Pod]:
    number = 0
    for pod in pods:
        running = there.get(pod.key)
        if pod.spec.host_network or (_has_address(pod) and pod.spec.node_name):
            yield pod
        elif isinstance(running, Pod):
            yield replace(running, metadata=replace(running.metadata, labels=pod.metadata.labels))
        else:
            number += 1
            yield _started(pod, number)


def _started(pod: Pod, number: int) -> Pod:
    """A pod as kubelet would report it, with an address of each family."""
    addresses = (format_address(4, _FIRST4 + number), format_address(6, _FIRST6 + number))
    spec = replace(
        pod.spec,
        node_name=pod.spec.node_name or NODE,
        service_account_name=pod.spec.service_account_name or DEFAULT_ACCOUNT,
    )
    if _has_address(pod):
        return replace(pod, spec=spec)
    ips = tuple(PodIP(ip=address) for address in addresses)
    status = PodStatus(phase="Running", pod_ip=addresses[0], pod_ips=ips)
    return replace(pod, spec=spec, status=status)


def _has_address(pod: Pod) -> bool:
    annotations = pod.metadata.annotations
    reported = pod.status is not None and (pod.status.pod_ip or pod.status.pod_ips)
    return bool(reported or annotations.get(POD_IP) or annotations.get(POD_IPS))


def _slices(found: Mapping[Key, Resource]) -> Iterator[EndpointSlice]:
    """For each Service that selects pods and has no slice: what its controller would make."""
    sliced = {
        (each.metadata.namespace, each.service)
        for each in found.values()
        if isinstance(each, EndpointSlice)
    }
    pods = [each for each in found.values() if isinstance(each, Pod)]
    for service in found.values():
        if isinstance(service, Service) and service.spec.selector:
            key = (service.metadata.namespace, service.metadata.name)
            if key not in sliced:
                yield from _slices_of(service, pods)


def _slices_of(service: Service, pods: Sequence[Pod]) -> Iterator[EndpointSlice]:
    """One slice a pod and family: pods may resolve a named port differently."""
    wanted = service.spec.selector.items()
    for pod in pods:
        same = pod.metadata.namespace == service.metadata.namespace
        if same and wanted <= pod.metadata.labels.items() and pod.status is not None:
            for ip in pod.status.pod_ips:
                yield _slice(service, pod, ip.ip)


def _slice(service: Service, pod: Pod, address: str) -> EndpointSlice:
    name = service.metadata.name
    family: Literal["IPv4", "IPv6"] = "IPv6" if ":" in address else "IPv4"
    ports = (_slice_port(port, pod) for port in service.spec.ports)
    return EndpointSlice(
        metadata=ObjectMeta(
            name=f"{name}-{pod.metadata.name}-{family.lower()}",
            namespace=service.metadata.namespace,
            labels={SERVICE_LABEL: name},
        ),
        address_type=family,
        endpoints=(ServiceEndpoint(addresses=(address,), node_name=pod.spec.node_name),),
        ports=tuple(port for port in ports if port is not None),
    )


def _slice_port(port: ServicePort, pod: Pod) -> EndpointSlicePort | None:
    """Where a service's port leads on a pod; None for a name that the pod does not have."""
    target = port.target_port if port.target_port else port.port
    if isinstance(target, str):
        declared = (each for container in pod.spec.containers for each in container.ports)
        number = next((each.container_port for each in declared if each.name == target), None)
    else:
        number = target
    if number is None:
        return None
    return EndpointSlicePort(name=port.name, protocol=port.protocol or "TCP", port=number)


def _namespaces(found: Mapping[Key, Resource]) -> Iterator[Namespace]:
    names = {key.namespace for key in found if KINDS[key.kind].namespaced and key.namespace}
    for name in sorted(names):
        if Key("Namespace", "", name) not in found:
            yield Namespace(metadata=ObjectMeta(name=name))


def _labelled(namespace: Namespace) -> Namespace:
    """With the label that API servers give every namespace."""
    own = namespace.metadata.labels
    return with_metadata(namespace, labels={_NAME_LABEL: namespace.metadata.name, **own})
