"""What a feed keeps of objects that are many and large, and that controllers only look at. Pure.

A Pod is 8 KB in memory as it is read, a machine's images alone may be 20 KB; of 100,000 pods and
5,000 machines that would be a gigabyte. What is left out here must never be written back.
"""

from msgspec.structs import replace

from tortie.api import ObjectMeta, Pod, PodSpec, PodStatus, Resource
from tortie.api.kube.node import KubernetesNode, KubernetesNodeStatus
from tortie.kubernetes.names import CONFIG_MIRROR, POD_IP


def kept(resource: Resource) -> Resource:
    """A Pod's labels, account, node and end; a machine's labels and addresses; others whole."""
    match resource:
        case Pod():
            return _pod(resource)
        case KubernetesNode(status=KubernetesNodeStatus(addresses=addresses)):
            status = KubernetesNodeStatus(addresses=addresses)
            return replace(resource, metadata=_metadata(resource), status=status)
    return resource


def _pod(pod: Pod) -> Pod:
    said = pod.metadata.annotations
    annotations = {name: said[name] for name in (POD_IP, CONFIG_MIRROR) if name in said}
    return Pod(
        metadata=replace(_metadata(pod), annotations=annotations),
        spec=PodSpec(
            node_name=pod.spec.node_name,
            service_account_name=pod.spec.service_account_name,
            host_network=pod.spec.host_network,
            containers=(),
        ),
        status=None if pod.status is None else PodStatus(phase=pod.status.phase),
    )


def _metadata(resource: Resource) -> ObjectMeta:
    found = resource.metadata
    return ObjectMeta(
        name=found.name,
        namespace=found.namespace,
        labels=found.labels,
        uid=found.uid,
        resource_version=found.resource_version,
        deletion_timestamp=found.deletion_timestamp,
    )
