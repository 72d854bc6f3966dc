"""Taking an installation out of a cluster: what it made, and nothing else.

Ours is what has our labels. Resources of people (policies, pools, addresses) are kept with their
kinds, unless they are asked for too.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from tortie.controllers.seats import NAME
from tortie.install.cluster.places import LEASES, NODES, PLACES, defined
from tortie.install.cluster.server import Server
from tortie.install.manifests.objects import OURS, Object, name_of
from tortie.install.rights import NAMESPACE
from tortie.lab.progress import Progress
from tortie.reports.kubernetes import LABEL

_DEFINITION = "CustomResourceDefinition"
_LEADING: Object = {
    "apiVersion": LEASES.version,
    "kind": LEASES.kind,
    "metadata": {"name": NAME, "namespace": NAMESPACE},
}
"""Which of the controllers led: made by themselves, without our labels."""
_PREFIX = "projectcalico.org/"


class Found(NamedTuple):
    """What is to go: what was installed; kinds with all their objects; notes on Nodes."""

    installed: Sequence[Object]
    kinds: Sequence[Object]
    nodes: Sequence[Object]


async def find(server: Server, *, with_data: bool) -> Found:
    """Everything of ours. Raises DatastoreError."""
    installed: list[Object] = []
    kinds: list[Object] = []
    for place in PLACES:
        found = await server.list(place, OURS)
        (kinds if place.kind == _DEFINITION else installed).extend(found)
    installed += await server.list(LEASES, {LABEL: ""})
    leading = await server.get(_LEADING)
    installed += [leading] if leading else []
    if not with_data:
        return Found(installed, (), ())
    nodes = [each for each in await server.list(NODES, {}) if _notes(each)]
    return Found(installed, kinds, nodes)


async def remove(server: Server, found: Found, progress: Progress) -> None:
    """Remove it all. Raises DatastoreError; again, it goes on where it ended."""
    for each in found.installed:
        await server.delete(each)
        progress.done(name_of(each), "removed")
    for definition in found.kinds:
        async for held in _held(server, definition):
            await server.change(held, {"metadata": {"finalizers": None}}, defined(definition))
        await server.delete(definition)
        progress.done(name_of(definition), "removed with its objects")
    for node in found.nodes:
        await server.change(node, {"metadata": {"annotations": dict.fromkeys(_notes(node))}})
        progress.done(name_of(node), "our annotations removed")


async def _held(server: Server, definition: Object) -> AsyncIterator[Object]:
    """Objects that wait for a controller before they go; it is gone."""
    for each in await server.list(defined(definition), {}):
        if each["metadata"].get("finalizers"):
            yield each


def _notes(node: Object) -> list[str]:
    """The annotations that the node's agent wrote."""
    annotations = node["metadata"].get("annotations") or {}
    return [name for name in annotations if name.startswith(_PREFIX)]
