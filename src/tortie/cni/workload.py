"""Which workload a container is: a pod of Kubernetes, or a container on its own. Pure."""

import re
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from tortie.api import Key, ObjectMeta, Pod, WorkloadEndpoint, WorkloadEndpointSpec
from tortie.cni.errors import (
    INVALID_CONFIG,
    INVALID_ENVIRONMENT,
    TRY_AGAIN,
    WRONG_NODE,
    CniError,
)
from tortie.cni.request import CniRequest
from tortie.ipam.holders import CONTAINER, About
from tortie.kubernetes import names
from tortie.kubernetes.interfaces import Further, with_further
from tortie.kubernetes.pods import is_pod
from tortie.policy.program import EndpointId

# What Kubernetes lets a namespace and a pod be called.
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?")
_UID = re.compile(r"[A-Za-z0-9-]{0,64}")
_SHOWN = 60  # characters
_LONGEST_PREFIX = 8  # letters; seven hex digits are then left to tell interfaces apart
_OWN_ORCHESTRATOR = "cni"  # of containers that no orchestrator named
_OWN_NAMESPACE = "default"


class Workload(Struct, frozen=True):
    """An interface's place among the resources, and the names that follow from it."""

    node: str
    namespace: str
    name: str
    orchestrator: str
    container_id: str
    prefix: str = names.INTERFACE_PREFIX  # of its interface's name
    ifname: str = names.ENDPOINT  # the container's end
    uid: str = ""  # its Pod's, where the runtime tells
    noted: Mapping[str, str] = {}  # what IPAM is to note besides

    @property
    def is_first(self) -> bool:
        """Whether it is the container's main interface: the one that annotations speak of."""
        return self.ifname == names.ENDPOINT

    @property
    def pod(self) -> Key:
        """Where its Pod is, if Kubernetes runs it."""
        return Key("Pod", self.namespace, self.name)

    @property
    def is_pod(self) -> bool:
        """Whether Kubernetes named it; its Pod may still not be in the store."""
        return self.orchestrator == names.ORCHESTRATOR

    @property
    def endpoint(self) -> EndpointId:
        """Its endpoint, stored or converted from its Pod."""
        name = names.wep_name(self.node, self.orchestrator, self.name, self.ifname)
        return EndpointId("WorkloadEndpoint", self.namespace, name)

    @property
    def interface(self) -> str:
        """The node's end of it."""
        space, name = (
            (self.namespace, self.name) if self.is_pod else (_OWN_ORCHESTRATOR, self.container_id)
        )
        return names.interface_name(space, name, self.prefix, self.ifname)

    @property
    def attributes(self) -> dict[str, str]:
        """What IPAM notes beside its addresses."""
        if self.is_pod:
            pod = {"namespace": self.namespace, "node": self.node, "pod": self.name}
            return {**pod, **self.noted}
        return {"node": self.node, CONTAINER: self.container_id, **self.noted}


def workload_of(request: CniRequest, node: str, prefix: str = names.INTERFACE_PREFIX) -> Workload:
    """The workload that the runtime speaks of; its interface's name is to begin with `prefix`.

    Raises CniError for half a pod, and where the prefix leaves no room to tell interfaces apart.
    """
    if len(prefix) > _LONGEST_PREFIX:
        raise CniError(
            INVALID_CONFIG,
            f"InterfacePrefix begins with {prefix!r}: names of new interfaces need letters of their"
            f" own behind it; let the first prefix have at most {_LONGEST_PREFIX} letters",
        )
    name = request.arguments.get("K8S_POD_NAME", "")
    namespace = request.arguments.get("K8S_POD_NAMESPACE", "")
    container, ifname = request.container_id, request.ifname
    if not namespace:  # podman gives its containers' names, but no namespace: they are no pods
        return Workload(
            node, _OWN_NAMESPACE, container, _OWN_ORCHESTRATOR, container, prefix, ifname
        )
    if not name:
        raise CniError(INVALID_ENVIRONMENT, "CNI_ARGS has no K8S_POD_NAME")
    uid = request.arguments.get("K8S_POD_UID", "")
    return Workload(node, namespace, name, names.ORCHESTRATOR, container, prefix, ifname, uid)


def told_of(request: CniRequest, node: str) -> About:
    """Whose a container is, as far as a call says: a runtime may end it without naming its pod."""
    name = request.arguments.get("K8S_POD_NAME", "")
    namespace = request.arguments.get("K8S_POD_NAMESPACE", "")
    return {"node": node, **({"namespace": namespace, "pod": name} if name and namespace else {})}


def check_name(workload: Workload) -> None:
    """Raises CniError for what can be no pod's name, before it becomes a stored object's."""
    namespace, name = workload.namespace, workload.name
    if workload.is_pod and not (_NAMESPACE.fullmatch(namespace) and _NAME.fullmatch(name)):
        found = f"{namespace[:_SHOWN]}/{name[:_SHOWN]}"
        raise CniError(INVALID_ENVIRONMENT, f"CNI_ARGS names {found!r}: use a pod's name")
    if not _UID.fullmatch(workload.uid):
        found = workload.uid[:_SHOWN]
        raise CniError(INVALID_ENVIRONMENT, f"CNI_ARGS: K8S_POD_UID is {found!r}: use a Pod's UID")


def check_pod(pod: Pod, workload: Workload) -> None:
    """Raises CniError for a pod that this node has no business to attach."""
    subject = f"Pod {workload.namespace}/{workload.name}"
    if pod.spec.host_network:
        raise CniError(WRONG_NODE, f"{subject} uses the node's own network: nothing to attach")
    if pod.spec.node_name != workload.node:
        found = f"on node {pod.spec.node_name}" if pod.spec.node_name else "on no node yet"
        raise CniError(WRONG_NODE, f"{subject} is {found}, this is {workload.node}")
    if not is_pod(pod, workload.uid):
        other = f"{subject} has the UID {pod.metadata.uid}, and the container is {workload.uid}'s"
        raise CniError(TRY_AGAIN, f"{other}: one of its name has gone, or is to come")


def with_interface(
    pod: Pod, workload: Workload, network: str, addresses: tuple[str, ...], mac: str
) -> Pod:
    """The Pod that says where this interface of it is."""
    if workload.is_first:
        return _with_addresses(pod, addresses, workload.container_id, network)
    interface = Further(
        container_id=workload.container_id, network=network, addresses=addresses, mac=mac
    )
    return with_further(pod, workload.ifname, interface)


def without_interface(pod: Pod, workload: Workload) -> Pod:
    """The Pod that says that this interface of it is gone."""
    if workload.is_first:
        return _with_addresses(pod, (), "", "")
    return with_further(pod, workload.ifname, None)


def _with_addresses(pod: Pod, addresses: tuple[str, ...], container_id: str, network: str) -> Pod:
    annotations = {
        **pod.metadata.annotations,
        names.POD_IP: addresses[0] if addresses else "",
        names.POD_IPS: ",".join(addresses),
        names.CONTAINER_ID: container_id,
        names.NETWORK: network,
    }
    return replace(pod, metadata=replace(pod.metadata, annotations=annotations))


def endpoint_resource(
    workload: Workload, network: str, addresses: tuple[str, ...], mac: str
) -> WorkloadEndpoint:
    """The stored endpoint of a container that no Pod describes.

    Its profile is its namespace's, or the one named like the network where no orchestrator gave
    it a namespace. Where there is no such Profile it gets no traffic. Both it and what it is
    labelled with are as Calico has them, but for the network's label.
    """
    profiles = (names.namespace_profile(workload.namespace),) if workload.is_pod else (network,)
    return WorkloadEndpoint(
        metadata=ObjectMeta(
            name=workload.endpoint.name,
            namespace=workload.namespace,
            annotations={names.POD_UID: workload.uid} if workload.uid else {},
            labels={
                names.NAMESPACE_LABEL: workload.namespace,
                names.ORCHESTRATOR_LABEL: workload.orchestrator,
                names.NETWORK_LABEL: network,
            },
        ),
        spec=WorkloadEndpointSpec(
            orchestrator=workload.orchestrator,
            workload="" if workload.is_pod else workload.name,
            pod=workload.name if workload.is_pod else "",
            node=workload.node,
            container_id=workload.container_id,
            endpoint=workload.ifname,
            ip_networks=addresses,
            profiles=profiles,
            interface_name=workload.interface,
            mac=mac,
        ),
    )
