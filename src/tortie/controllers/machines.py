"""Which Node is which machine of Kubernetes, in both directions."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable

from tortie.api import Key, Node
from tortie.controllers.controller import Context, Side
from tortie.controllers.feed import Feed
from tortie.controllers.reconciling import Job, Watched

_ORCHESTRATOR = "k8s"


def machine_of(node: Node) -> str:
    """The name of the machine in Kubernetes; empty for a node that is none of Kubernetes'."""
    names = (ref.node_name for ref in node.spec.orch_refs if ref.orchestrator == _ORCHESTRATOR)
    return next(names, "")


class Machines:
    """The Nodes of each machine, as far as a feed of them has told."""

    def __init__(self, nodes: Feed) -> None:
        self._nodes = nodes
        self._machine: dict[str, str] = {}
        self._of: defaultdict[str, set[str]] = defaultdict(set)
        for key in nodes.objects("Node"):
            self.note(key)

    def note(self, key: Key) -> tuple[str, ...]:
        """A Node has changed; gives its name."""
        node = self._nodes.get(key)
        name = machine_of(node) if isinstance(node, Node) else ""
        before = self._machine.pop(key.name, "")
        self._of[before].discard(key.name)
        if name:
            self._machine[key.name] = name
            self._of[name].add(key.name)
        return (key.name,)

    def nodes_of(self, key: Key) -> tuple[str, ...]:
        """The names of the Nodes of the machine of this key."""
        return tuple(sorted(self._of.get(key.name, ())))


def job_of_nodes(
    name: str,
    context: Context,
    kubernetes: Side,
    reconcile: Callable[[Hashable], Awaitable[None]],
) -> Job:
    """Looks at a Node, by its name, when it or its machine changed."""
    data = context.datastore
    machines = Machines(data.feed)
    return Job(
        name=name,
        watched=(
            Watched(data, ("Node",), machines.note),
            Watched(kubernetes, ("KubernetesNode",), machines.nodes_of),
        ),
        everything=lambda: [key.name for key in data.feed.objects("Node")],
        reconcile=reconcile,
        period=lambda: context.settings.current.periods.get("node", 0.0),
    )
