"""Pods as WorkloadEndpoints."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from tortie.api import (
    EndpointPort,
    ObjectMeta,
    Pod,
    PodStatus,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.calico.workload_endpoint import IPNat
from tortie.kubernetes import names
from tortie.kubernetes.interfaces import Further, further_interfaces
from tortie.kubernetes.qos import KUBERNETES_BANDWIDTH, qos_controls
from tortie.net import Prefix, format_address, parse_network, parse_prefix
from tortie.net.addresses import WIDTH

_ENDED = frozenset({"Succeeded", "Failed", "Completed"})
_LABEL_LENGTH = 63  # of Kubernetes; the label of a longer service account's name is left out


def convert_pod(pod: Pod) -> tuple[tuple[WorkloadEndpoint, ...], tuple[str, ...]]:
    """The pod's endpoints, that of its first interface first; and a warning for each annotation and
    interface that can't be used.

    None where the pod uses the node's network, has no node yet, or no address yet. A pod that has
    ended keeps its endpoints without addresses: they may be another pod's by now.
    """
    warnings: list[str] = []
    if pod.spec.host_network or not pod.spec.node_name:
        return (), ()
    addresses = _addresses(pod, warnings)
    further = attached_further(pod, warnings)
    if not addresses and not further:
        return (), _said(pod, warnings)
    spec = _spec(pod, () if has_ended(pod) else addresses, warnings)
    first = WorkloadEndpoint(metadata=_metadata(pod), spec=spec)
    others = [_further(pod, first, name, one, warnings) for name, one in further.items()]
    return (first, *others) if addresses else tuple(others), _said(pod, warnings)


def attached_further(pod: Pod, warnings: list[str] | None = None) -> dict[str, Further]:
    """The further interfaces that the pod has now, by name."""
    found = further_interfaces(pod, warnings)
    return {name: one for name, one in found.items() if one.container_id}


def pod_addresses(pod: Pod) -> tuple[str, ...]:
    """The addresses that it may use, as CIDRs; none where it has none, or has ended.

    Those of its endpoints, and what the CNI plugin noted: the kubelet may not have said yet what a
    sandbox that was made anew has.
    """
    if pod.spec.host_network or not pod.spec.node_name:
        return ()
    texts: list[str] = []
    if not has_ended(pod):
        about = pod.metadata.annotations
        texts += _address_texts(pod.status or PodStatus(), about)
        texts += _noted_texts(about) if about else ()
    if not is_over(pod):
        texts += (text for one in attached_further(pod).values() for text in one.addresses)
    return tuple(dict.fromkeys(_singles(texts, [])))


def is_pod(pod: Pod, uid: str) -> bool:
    """Whether it is the one of this UID, and none of its name before or after; "" is not known.

    The runtime knows a static pod by another UID than the API server, which shows it.
    """
    return not uid or uid == pod.metadata.uid or names.CONFIG_MIRROR in pod.metadata.annotations


def has_ended(pod: Pod) -> bool:
    """Whether its containers are over, or the CNI plugin has taken its first address back."""
    if is_over(pod):
        return True
    taken = pod.metadata.annotations.get(names.POD_IP) == ""
    return taken and pod.metadata.deletion_timestamp is not None


def is_over(pod: Pod) -> bool:
    """Whether its containers are over."""
    return pod.status is not None and pod.status.phase in _ENDED


def _said(pod: Pod, warnings: Sequence[str]) -> tuple[str, ...]:
    if not warnings:
        return ()
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    return tuple(f"Pod {name}: {warning}" for warning in warnings)


def _metadata(pod: Pod) -> ObjectMeta:
    source = pod.metadata
    status = source.annotations.get(names.NETWORK_STATUS)
    return ObjectMeta(
        name=names.wep_name(pod.spec.node_name, names.ORCHESTRATOR, source.name, names.ENDPOINT),
        namespace=source.namespace,
        labels=pod_labels(pod),
        annotations={names.NETWORK_STATUS: status} if status else {},
        uid=source.uid,
        resource_version=source.resource_version,
        creation_timestamp=source.creation_timestamp,
        generate_name=source.generate_name,
    )


def pod_labels(pod: Pod) -> dict[str, str]:
    """The labels of a pod's endpoints: its own; where it is, and as whom, can't be forged."""
    labels = {
        **pod.metadata.labels,
        names.NAMESPACE_LABEL: pod.metadata.namespace,
        names.ORCHESTRATOR_LABEL: names.ORCHESTRATOR,
    }
    for decided in (names.SERVICE_ACCOUNT_LABEL, names.NETWORK_LABEL):
        labels.pop(decided, None)
    if 0 < len(pod.spec.service_account_name) < _LABEL_LENGTH:
        labels[names.SERVICE_ACCOUNT_LABEL] = pod.spec.service_account_name
    return labels


def _spec(pod: Pod, addresses: tuple[str, ...], warnings: list[str]) -> WorkloadEndpointSpec:
    source = pod.metadata
    account = pod.spec.service_account_name
    profiles = [names.namespace_profile(source.namespace)]
    if account:
        profiles.append(names.service_account_profile(source.namespace, account))
    return WorkloadEndpointSpec(
        orchestrator=names.ORCHESTRATOR,
        node=pod.spec.node_name,
        pod=source.name,
        endpoint=names.ENDPOINT,
        container_id=source.annotations.get(names.CONTAINER_ID, ""),
        service_account_name=account,
        ip_networks=addresses,
        ip_nats=_floating(source.annotations, addresses, warnings),
        profiles=tuple(profiles),
        interface_name=names.interface_name(source.namespace, source.name),
        ports=_ports(pod),
        allow_spoofed_source_prefixes=_sources(source.annotations, warnings),
        qos_controls=qos_controls(_limits(pod), warnings),
    )


def _further(
    pod: Pod, first: WorkloadEndpoint, name: str, interface: Further, warnings: list[str]
) -> WorkloadEndpoint:
    """What policy knows of the pod holds of each of its interfaces. Floating addresses lead to the
    first, and stay there.
    """
    source = pod.metadata
    metadata = replace(
        first.metadata,
        name=names.wep_name(pod.spec.node_name, names.ORCHESTRATOR, source.name, name),
        labels={**first.metadata.labels, names.NETWORK_LABEL: interface.network},
        uid=names.further_uid(source.uid, name),
    )
    spec = replace(
        first.spec,
        endpoint=name,
        container_id=interface.container_id,
        ip_networks=() if is_over(pod) else _singles(interface.addresses, warnings),
        ip_nats=(),
        interface_name=names.interface_name(source.namespace, source.name, endpoint=name),
        mac=interface.mac,
    )
    return replace(first, metadata=metadata, spec=spec)


def _limits(pod: Pod) -> Mapping[str, str]:
    """The annotations that limits come from.

    Kubernetes' own are the chained bandwidth plugin's, too, and that one fails where an interface
    is limited before it has run. It has run when the kubelet tells of the pod's address.
    """
    status, found = pod.status, pod.metadata.annotations
    if status is None or status.phase != "Pending" or status.pod_ip or status.pod_ips:
        return found
    return {name: found[name] for name in found if name not in KUBERNETES_BANDWIDTH}


def _addresses(pod: Pod, warnings: list[str]) -> tuple[str, ...]:
    """As the kubelet says, else as the CNI plugin noted; one a family in the order given."""
    return _singles(_address_texts(pod.status or PodStatus(), pod.metadata.annotations), warnings)


def _singles(texts: Sequence[str], warnings: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for text in texts:
        try:
            version, address = parse_prefix(text.strip())[:2]
        except ValueError as error:
            warnings.append(f"address: {error}; it is left out")
        else:
            found.append(f"{format_address(version, address)}/{WIDTH[version]}")
    return tuple(found)


def _address_texts(status: PodStatus, annotations: Mapping[str, str]) -> list[str]:
    if status.pod_ips:
        return [address.ip for address in status.pod_ips]
    if status.pod_ip:
        return [status.pod_ip]
    return _noted_texts(annotations)


def _noted_texts(annotations: Mapping[str, str]) -> list[str]:
    for name in (names.POD_IPS, names.POD_IP, names.AWS_POD_IPS):
        if annotations.get(name):
            return annotations[name].split(",")
    return []


def _ports(pod: Pod) -> tuple[EndpointPort, ...]:
    """The ports that rules may name, or that the node leads to."""
    return tuple(
        [
            EndpointPort(
                name=port.name,
                protocol=port.protocol or "TCP",
                port=port.container_port,
                host_port=port.host_port or None,
                host_ip=port.host_ip,
            )
            for container in pod.spec.containers + pod.spec.init_containers
            for port in container.ports
            if port.name or port.host_port
        ]
    )


def _floating(
    annotations: Mapping[str, str], addresses: tuple[str, ...], warnings: list[str]
) -> tuple[IPNat, ...]:
    """Each floating IP leads to the pod's address of the same family."""
    if names.FLOATING_IPS not in annotations:
        return ()
    own = {parse_prefix(text).version: text.partition("/")[0] for text in addresses}
    return tuple(
        IPNat(internal_ip=own[outside.version], external_ip=str(outside).partition("/")[0])
        for outside in _prefixes(annotations, names.FLOATING_IPS, warnings)
        if outside.version in own
    )


def _sources(annotations: Mapping[str, str], warnings: list[str]) -> tuple[str, ...]:
    found = _prefixes(annotations, names.ALLOWED_SOURCE_PREFIXES, warnings)
    return tuple(str(prefix.network) for prefix in found)


def _prefixes(annotations: Mapping[str, str], name: str, warnings: list[str]) -> list[Prefix]:
    """A JSON list of addresses or CIDRs; all of it or, with a warning, nothing."""
    text = annotations.get(name)
    if not text:
        return []
    try:
        return [parse_network(item) for item in _texts(msgspec.json.decode(text))]
    except (msgspec.DecodeError, ValueError) as error:
        warnings.append(f"annotation {name}: {error}; it is left out")
        return []


def _texts(value: Any) -> list[str]:
    return msgspec.convert(value, list[str])
