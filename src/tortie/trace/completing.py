"""What a folder of manifests leaves to a cluster: namespaces, nodes, addresses, endpoints.

A Pod in a file has no address, and policy is about addresses. So each gets one of a network that
nobody else can have (RFC 2544's 198.18.0.0/15, RFC 5180's 2001:2::/48), or, where there are
IPPools, one of these: rules may speak of their networks, and they may be of one family only. A
Service without slices gets the pods that it selects, and a namespace that only a name speaks of is
there, bare.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Literal

from msgspec.structs import replace

from tortie.api import (
    KINDS,
    IPPool,
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
from tortie.net import Prefix, format_address, parse_network

NODE = "unscheduled"  # where a pod runs that no scheduler has seen
DEFAULT_ACCOUNT = "default"
_NOBODYS = (parse_network("198.18.0.0/15"), parse_network("2001:2::/48"))
_NAME_LABEL = "kubernetes.io/metadata.name"


def completed(resources: Iterable[Resource], cluster: Iterable[Resource] = ()) -> list[Resource]:
    """These resources over those that the cluster has, as they would run there.

    What the cluster has stays as it is, also where it is incomplete: that is its state.
    """
    there = {resource.key: resource for resource in cluster}
    new = {resource.key: resource for resource in resources}
    found = there | new
    pods = [each for each in new.values() if isinstance(each, Pod)]
    found.update((pod.key, pod) for pod in _addressed(pods, there, _free(found)))
    found.update([(each.key, each) for each in _slices(found)])
    found.update([(each.key, each) for each in _namespaces(found)])
    return [_labelled(each) if isinstance(each, Namespace) else each for each in found.values()]


def _addressed(
    pods: Sequence[Pod], there: Mapping[Key, Resource], free: Sequence[Iterator[str]]
) -> Iterator[Pod]:
    for pod in pods:
        running = there.get(pod.key)
        if pod.spec.host_network or (_has_address(pod) and pod.spec.node_name):
            yield pod
        elif isinstance(running, Pod):
            yield replace(running, metadata=replace(running.metadata, labels=pod.metadata.labels))
        else:
            yield _started(pod, [address for each in free for address in islice(each, 1)])


def _free(found: Mapping[Key, Resource]) -> list[Iterator[str]]:
    """Addresses that nobody has yet, for each family that pods would have."""
    pods = (each for each in found.values() if isinstance(each, Pod) and each.status is not None)
    taken = {address for pod in pods for address in _reported(pod.status)}
    pools = [each for each in found.values() if isinstance(each, IPPool)]
    networks = [
        net
        for pool in sorted(pools, key=lambda pool: pool.metadata.name)
        for net in _readable(pool.spec.cidr)
        if not pool.spec.disabled
    ]
    if not networks:
        return [_of_network(net, taken) for net in _NOBODYS]
    families = sorted({net.version for net in networks})
    return [_of_family(family, networks, taken) for family in families]


def _of_family(family: int, networks: Sequence[Prefix], taken: Container[str]) -> Iterator[str]:
    for net in networks:
        if net.version == family:
            yield from _of_network(net, taken)


def _readable(cidr: str) -> Iterator[Prefix]:
    with suppress(ValueError):  # of a cluster that has such a pool: the engine has a warning for it
        yield parse_network(cidr)


def _of_network(net: Prefix, taken: Container[str]) -> Iterator[str]:
    addresses = (format_address(net.version, each) for each in range(net.address + 1, net.last))
    return (address for address in addresses if address not in taken)


def _reported(status: PodStatus | None) -> list[str]:
    return [] if status is None else [status.pod_ip, *(each.ip for each in status.pod_ips)]


def _started(pod: Pod, addresses: Sequence[str]) -> Pod:
    """A pod as kubelet would report it, with these addresses; none are left for a full pool's."""
    spec = replace(
        pod.spec,
        node_name=pod.spec.node_name or NODE,
        service_account_name=pod.spec.service_account_name or DEFAULT_ACCOUNT,
    )
    if _has_address(pod) or not addresses:
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
