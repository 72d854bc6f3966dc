"""A node joins: how long until packets from every other node reach it.

Counted from the start of its agent, a process that loads all its code first. What answers is the
new node's own end of the tunnel: a connection to a port where nobody listens is refused by it.
"""

import asyncio
import socket
import time
from collections.abc import Iterable
from typing import NamedTuple

from tortie.api import Node
from tortie.lab import fabric, nodes
from tortie.lab.cluster import Lab
from tortie.lab.plan import Station
from tortie.linux import namespaces

_CLOSED_PORT = 9
_ANSWER = 0.05  # seconds
_POLL = 0.002


class Joined(NamedTuple):
    """Seconds from the start of the agent until its Node tells of its tunnel's end, until all
    other nodes reach that, and until it has all of the datastore in its kernel."""

    published: float
    reached: float
    ready: float


async def join(lab: Lab) -> Joined:
    """Start the agent of the lab's last node; all others run."""
    new = lab.plan.nodes[-1]
    fabric.ensure_node(lab.plan, new, lab.journal)
    started = time.perf_counter()
    nodes.ensure_agent(lab.journal, new, lab.plan.shape)
    address = await _tunnel_address(lab, new)
    published = time.perf_counter()
    await asyncio.to_thread(_await_reached, lab.plan.nodes[:-1], address)
    reached = time.perf_counter()
    await nodes.await_ready(lab.journal, new)
    ready = time.perf_counter()
    return Joined(published - started, reached - started, ready - started)


async def _tunnel_address(lab: Lab, new: Station) -> str:
    while True:
        found = {one.metadata.name: one for one in (await lab.store.list("Node")).resources}
        node = found.get(new.name)
        if isinstance(node, Node) and node.spec.ipv4_vxlan_tunnel_addr:
            return node.spec.ipv4_vxlan_tunnel_addr.partition("/")[0]
        await asyncio.sleep(_POLL)


def _await_reached(others: Iterable[Station], address: str) -> None:
    for other in others:
        with namespaces.in_namespace(namespaces.path_of(other.namespace)):
            while not _answers(address):
                time.sleep(_POLL)


def _answers(address: str) -> bool:
    try:
        socket.create_connection((address, _CLOSED_PORT), _ANSWER).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
