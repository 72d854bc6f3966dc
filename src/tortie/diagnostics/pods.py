"""The daemons' pods of a Kubernetes cluster, and their logs."""

from urllib.parse import quote

import msgspec
from msgspec import Struct

from tortie.datastore import DatastoreError
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.opened import opened_client
from tortie.datastore.settings import KubernetesSettings
from tortie.diagnostics.cluster import saying
from tortie.diagnostics.items import Item

_SELECTOR = "k8s-app in (calico-node,calico-kube-controllers,calico-typha)"
_LINES = "3000"
_PODS = 50  # whose logs are taken: those of a large cluster would never end


class _Container(Struct, frozen=True):
    name: str


class _Spec(Struct, frozen=True):
    containers: tuple[_Container, ...] = ()


class _Meta(Struct, frozen=True):
    name: str
    namespace: str = "default"


class _Pod(Struct, frozen=True):
    metadata: _Meta
    spec: _Spec


class _Listed(Struct, frozen=True):
    items: tuple[_Pod, ...] = ()


async def pod_items(settings: KubernetesSettings) -> list[Item]:
    """The list of pods, and the last lines of each container. Raises DatastoreError."""
    async with opened_client(settings) as client:
        answer = await _got(client, "/api/v1/pods", (("labelSelector", _SELECTOR),))
        pods = msgspec.json.decode(answer, type=_Listed).items
        items = [Item("pods/pods.json", saying(answer.decode(errors="replace")))]
        for pod in pods[:_PODS]:
            items += [await _log(client, pod, one.name) for one in pod.spec.containers]
        return items


async def _log(client: Client, pod: _Pod, container: str) -> Item:
    namespace, name = pod.metadata.namespace, pod.metadata.name
    title = f"pods/{namespace}/{name}/{container}.log"
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/log"
    how = (("container", container), ("tailLines", _LINES), ("timestamps", "true"))
    try:
        return Item(title, saying((await _got(client, path, how)).decode(errors="replace")))
    except DatastoreError as problem:
        return Item(title, saying(f"[could not be had: {problem}]\n"))


async def _got(client: Client, path: str, parameters: tuple[tuple[str, str], ...]) -> bytes:
    try:
        return await client.send(Request("pods", path, parameters))
    except Refused as refused:
        raise refused.error from None
