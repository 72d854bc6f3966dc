"""Labels of Kubernetes' machines go to their Nodes, where the datastore is not Kubernetes itself.

An annotation of the Node says which labels came from there, so that a label that goes there goes
here, and one that a person has set here stays. While both have a label, the machine's counts.
"""

from collections.abc import Hashable, Mapping

import msgspec

from tortie.api import Key, Node
from tortie.api.codec import with_metadata
from tortie.api.kube.node import KubernetesNode
from tortie.controllers.controller import Context, Controller
from tortie.controllers.machines import job_of_nodes, machine_of
from tortie.controllers.reconciling import reconcile_all

ANNOTATION = "projectcalico.org/kube-labels"
_NAME = "labels of nodes"


def labelled(node: Node, labels: Mapping[str, str]) -> Node:
    """The Node with its machine's labels; the same object where nothing differs."""
    before = _told(node.metadata.annotations.get(ANNOTATION, ""))
    gone = {key for key, value in before.items() if key not in labels}
    own = {
        key: value
        for key, value in node.metadata.labels.items()
        if key not in gone or before[key] != value  # somebody has set it anew since
    }
    annotation = msgspec.json.encode(dict(labels), order="sorted").decode()
    wanted = {**own, **labels}
    if wanted == node.metadata.labels and before == labels and _is_told(node):
        return node
    annotations = {**node.metadata.annotations, ANNOTATION: annotation}
    return with_metadata(node, labels=wanted, annotations=annotations)


def _is_told(node: Node) -> bool:
    return ANNOTATION in node.metadata.annotations


def _told(text: str) -> dict[str, str]:
    """What the annotation says; nothing for one that can't be read: then nothing is taken away."""
    try:
        return msgspec.json.decode(text, type=dict[str, str] | None) or {} if text else {}
    except msgspec.DecodeError:
        return {}


async def _run(context: Context) -> None:
    kubernetes = context.kubernetes
    assert kubernetes is not None
    data = context.datastore

    async def reconcile(item: Hashable) -> None:
        node = data.feed.get(Key("Node", "", str(item)))
        if not isinstance(node, Node) or not context.settings.current.sync_labels:
            return
        machine = kubernetes.feed.get(Key("KubernetesNode", "", machine_of(node)))
        if isinstance(machine, KubernetesNode):
            wanted = labelled(node, machine.metadata.labels)
            if wanted is not node:
                await data.store.update(wanted)

    await reconcile_all(context, job_of_nodes(_NAME, context, kubernetes, reconcile))


CONTROLLER = Controller(
    name=_NAME,
    switch="node",
    run=_run,
    follows=("Node",),
    follows_kubernetes=("KubernetesNode",),
    belongs=lambda sides: sides.beside,
)
