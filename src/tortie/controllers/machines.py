"""Which Node is which machine of Kubernetes, in both directions."""

from collections import defaultdict

from tortie.api import Key, Node
from tortie.controllers.feed import Feed

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
