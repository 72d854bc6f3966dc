"""Whether this node is in the datastore, with an address: else nobody would know whose a block is,
and no other node where its pods are."""

import asyncio
from collections.abc import Sequence

from tortie.api import Key, Node, Resource
from tortie.cni.errors import TRY_AGAIN, CniError

_PATIENCE = 10.0  # seconds


class Registration:
    """What the agent's stream says of this node's Node. `why`: what is missing; empty: nothing."""

    def __init__(self, node: str) -> None:
        self._node = Key("Node", "", node)
        self._there = asyncio.Event()
        self.why = f"this node {node} is not registered yet: has it been set up?"

    def saw(self, updates: Sequence[tuple[Key, Resource | None]]) -> None:
        """The agent's observer: our Node may be another now, or gone."""
        for key, value in updates:
            if key == self._node:
                self._note(value)

    def _note(self, value: Resource | None) -> None:
        name = self._node.name
        self.why = ""
        if not isinstance(value, Node):
            self.why = f"this node {name} is not registered (any more): has it been set up?"
        elif not _has_address(value):
            self.why = f"Node {name} has no address yet: say one, or how to find it (IP)"
        if self.why:
            self._there.clear()
        else:
            self._there.set()

    async def wait(self, limit: float) -> None:
        """Return once nothing is missing. Raises CniError with what is after a while, at most
        `limit` seconds."""
        try:
            async with asyncio.timeout(min(limit, _PATIENCE)):
                await self._there.wait()
        except TimeoutError:
            raise CniError(TRY_AGAIN, self.why) from None


def _has_address(node: Node) -> bool:
    bgp = node.spec.bgp
    return bool(node.spec.addresses or (bgp and (bgp.ipv4_address or bgp.ipv6_address)))
