"""Nodes whose machine Kubernetes has deleted go, with the endpoints of their workloads.

Only where the datastore is not Kubernetes itself, and only Nodes that say that they are machines of
Kubernetes. What else they leave follows by itself: their addresses and blocks are collected, their
automatic host endpoints are deleted (`host_endpoints`).
"""

from collections.abc import Hashable
from contextlib import suppress

import structlog

from tortie.api import Key, Node, WorkloadEndpoint
from tortie.controllers.controller import Context, Controller, Side
from tortie.controllers.machines import job_of_nodes, machine_of
from tortie.controllers.reconciling import reconcile_all
from tortie.datastore import NotFound

_NAME = "deletion of nodes"
_log = structlog.get_logger(__name__)


async def _run(context: Context) -> None:
    kubernetes = context.kubernetes
    assert kubernetes is not None
    data = context.datastore

    async def reconcile(item: Hashable) -> None:
        await _reconcile(str(item), data, kubernetes)

    await reconcile_all(context, job_of_nodes(_NAME, context, kubernetes, reconcile))


async def _reconcile(name: str, data: Side, kubernetes: Side) -> None:
    node = data.feed.get(Key("Node", "", name))
    machine = machine_of(node) if isinstance(node, Node) else ""
    if node is None or not machine or kubernetes.feed.get(_key(machine)) is not None:
        return
    if not await is_gone(kubernetes, _key(machine)):
        return
    for key, endpoint in list(data.feed.objects("WorkloadEndpoint").items()):
        if isinstance(endpoint, WorkloadEndpoint) and endpoint.spec.node == name:
            with suppress(NotFound):
                await data.store.delete(key, int(endpoint.metadata.resource_version))
    with suppress(NotFound):
        await data.store.delete(node.key, int(node.metadata.resource_version))
        _log.info("deleted a node, its machine is gone", node=name, machine=machine)


def _key(machine: str) -> Key:
    return Key("KubernetesNode", "", machine)


async def is_gone(side: Side, key: Key) -> bool:
    """Whether there is no such object, asked of the store itself.

    A feed may be behind, and lacks what it can't read. Raises DatastoreError where nobody says so.
    """
    try:
        await side.store.get(key)
    except NotFound:
        return True
    return False


CONTROLLER = Controller(
    name=_NAME,
    switch="node",
    run=_run,
    follows=("Node", "WorkloadEndpoint"),
    follows_kubernetes=("KubernetesNode",),
    belongs=lambda sides: sides.beside,
)
